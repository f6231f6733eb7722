#include "daemon/cli/pubkey_chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "conf/secrets.h"
#include "daemon/text.h"
#include "ike/crypto/public_key.h"

namespace oakgate::cli {

namespace {

// Of the peers that prove themselves by it, as the configuration has their addresses.
std::vector<const conf::PeerConfig*> peers_with(const conf::Config& config, const std::string& key) {
  std::vector<const conf::PeerConfig*> peers;
  for (const conf::PeerConfig& peer : config.peers) {
    if (!peer.rsa_encr) continue;
    const std::vector<std::string>& names = peer.rsa_encr->peer_keys;
    if (std::find(names.begin(), names.end(), key) != names.end()) peers.push_back(&peer);
  }
  return peers;
}

bool is_wanted(const PkiContext& context, const PublicKeyConfig& key,
               const std::optional<IpAddress>& address) {
  if (!context.pki().name.empty()) return key.name == context.pki().name;
  if (!address) return true;
  const auto peers = peers_with(context.config, key.name);
  return std::any_of(peers.begin(), peers.end(),
                     [&](const conf::PeerConfig* peer) { return peer->address.contains(*address); });
}

Outcome<Json> key_json(const PkiContext& context, const PublicKeyConfig& key) {
  Json json{{"name", key.name}, {"addresses", Json::array()}, {"usage", "general"}};
  for (const conf::PeerConfig* peer : peers_with(context.config, key.name))
    json["addresses"].push_back(peer->address.to_string());
  json["file"] = key.file.empty() ? Json(nullptr) : Json(key.file);
  Bytes content = key.key_string;
  if (!key.file.empty()) {
    Result<std::optional<Bytes>> read = conf::load_public_key(key.file);
    if (!read) return tl::unexpected(failure_of(read.error()));
    if (!*read) {
      json["status"] = "not there";
      return json;
    }
    content = std::move(**read);
  }
  const Result<Bytes> spki = crypto::parse_public_key(content);
  if (!spki) {
    Failure failure = failure_of(spki.error());
    failure.text = fmt::format("public_keys.{}: {}", printable(key.name), failure.text);
    return tl::unexpected(std::move(failure));
  }
  json["status"] = "available";
  json["public_key"] = to_hex(*spki);
  return json;
}

std::string data_lines(const Json& key) {
  const std::optional<Bytes> der = from_hex(key.value("public_key", ""));
  const std::string hex = crypto::ios_hex(der.value_or(Bytes{}));
  std::string out;
  std::size_t begin = 0;
  while (begin < hex.size()) {
    const std::size_t end = std::min(hex.find('\n', begin), hex.size());
    out += fmt::format("  {}\n", hex.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

Outcome<Json> show_pubkey_chain(const PkiContext& context) {
  const PkiArguments& pki = context.pki();
  std::optional<IpAddress> address;
  if (!pki.address.empty()) {
    address = IpAddress::parse(pki.address);
    if (!address) {
      return tl::unexpected(Failure{Exit::usage, "usage",
                                    fmt::format("`{}` is no address", printable(pki.address)),
                                    "the address of a peer", ""});
    }
  }
  Json keys = Json::array();
  for (const PublicKeyConfig& key : context.config.public_keys) {
    if (!is_wanted(context, key, address)) continue;
    Outcome<Json> json = key_json(context, key);
    if (!json) return json;
    keys.push_back(std::move(*json));
  }
  if (keys.empty() && (address || !pki.name.empty())) {
    return tl::unexpected(
        refuse(ErrorCode::not_found,
               address ? fmt::format("no public key is of a peer at {}", address->to_string())
                       : fmt::format("there is no public key {}", printable(pki.name)),
               "one of `public_keys`", "`oakgate show crypto key pubkey-chain rsa` shows all"));
  }
  return Json{{"version", kControlVersion}, {"keys", std::move(keys)}};
}

std::string ios_pubkey_chain(const Json& result) {
  std::string out;
  for (const Json& key : result["keys"]) {
    out += fmt::format("Key name: {}\n", printable(key.value("name", "")));
    for (const Json& address : key["addresses"])
      out += fmt::format("Key address: {}\n", printable(address.get<std::string>()));
    if (key["status"] != "available") {
      out += fmt::format("% {} is not there yet\n\n", printable(key["file"].get<std::string>()));
      continue;
    }
    out += " Key usage: general purpose\n Key source: manually entered\n Key data:\n";
    out += data_lines(key) + "\n";
  }
  return out;
}

}  // namespace oakgate::cli
