#include "daemon/kept_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "ike/base/algorithms.h"
#include "pki/files.h"

namespace oakgate {

namespace {

using Json = nlohmann::ordered_json;
using ike::KeptPair;

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kPastLines = 1000;  // so many more lines than live ones may there always be

tl::unexpected<Error> not_ours(std::size_t line, const std::string& why) {
  return fail(ErrorCode::malformed, fmt::format("line {}: {}", line, why), "a file that oakgated wrote",
              "remove it: tunnels are then negotiated anew");
}

// ---- writing

Json selector_json(const Selector& selector) {
  Json json{{"subnet", selector.subnet.to_string()}};
  if (selector.range) json["range"] = {selector.range->first.to_string(), selector.range->last.to_string()};
  if (selector.protocol != 0) json["protocol"] = selector.protocol;
  if (selector.port != 0) json["port"] = selector.port;
  return json;
}

Json set_json(const TransformSet& set) {
  Json json{{"name", set.name}, {"transport", set.mode == EncapsulationMode::transport}};
  if (set.cipher) json["cipher"] = info(*set.cipher).name;
  if (set.integrity) json["integrity"] = info(*set.integrity).name;
  if (set.ah) json["ah"] = info(*set.ah).name;
  if (set.compression) json["compression"] = info(*set.compression).name;
  return json;
}

std::int64_t milliseconds(Instant when) {
  return when.time_since_epoch().count();
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

// ---- reading: nothing if it is missing or not so

std::optional<std::uint64_t> number(const Json& json, const char* name, std::uint64_t max) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_number_unsigned()) return std::nullopt;
  const auto value = member->get<std::uint64_t>();
  return value <= max ? std::optional(value) : std::nullopt;
}

std::optional<bool> flag(const Json& json, const char* name) {
  const auto member = json.find(name);
  return member != json.end() && member->is_boolean() ? std::optional(member->get<bool>()) : std::nullopt;
}

std::optional<std::string> text(const Json& json, const char* name) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_string()) return std::nullopt;
  auto value = member->get<std::string>();
  return value.size() <= kMaxName ? std::optional(std::move(value)) : std::nullopt;
}

std::optional<IpAddress> address(const Json& json, const char* name) {
  const auto value = text(json, name);
  return value ? IpAddress::parse(*value) : std::nullopt;
}

// An optional member: false if it is there and wrong.
template <typename T, typename Find>
bool read_word(const Json& json, const char* name, std::optional<T>& into, Find find) {
  if (!json.contains(name)) return true;
  const auto word = text(json, name);
  if (word) into = find(*word);
  return into.has_value();
}

std::optional<AddressRange> read_range(const Json& json) {
  if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_string())
    return std::nullopt;
  const auto first = IpAddress::parse(json[0].get<std::string>());
  const auto last = IpAddress::parse(json[1].get<std::string>());
  if (!first || !last || first->family() != last->family() || *last < *first) return std::nullopt;
  return AddressRange{*first, *last};
}

std::optional<Selector> read_selector(const Json& json, const char* name) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_object()) return std::nullopt;
  const auto subnet = text(*member, "subnet");
  const auto parsed = subnet ? Subnet::parse(*subnet) : std::nullopt;
  if (!parsed) return std::nullopt;
  Selector selector{*parsed};
  if (member->contains("protocol")) {
    const auto value = number(*member, "protocol", 255);
    if (!value) return std::nullopt;
    selector.protocol = static_cast<std::uint8_t>(*value);
  }
  if (member->contains("port")) {
    const auto value = number(*member, "port", 65535);
    if (!value || !has_ports(selector.protocol)) return std::nullopt;
    selector.port = static_cast<std::uint16_t>(*value);
  }
  if (member->contains("range")) {
    selector.range = read_range(*member->find("range"));
    if (!selector.range || selector.range->around() != selector.subnet) return std::nullopt;
  }
  return selector;
}

// find_integrity() knows the configuration's words only, and the form cut at 96 bits is none.
std::optional<Integrity> integrity_of_any_length(std::string_view word) {
  for (const IntegrityInfo& one : integrities()) {
    if (one.name == word) return one.id;
  }
  return std::nullopt;
}

std::optional<TransformSet> read_set(const Json& json) {
  const auto member = json.find("set");
  if (member == json.end() || !member->is_object()) return std::nullopt;
  const auto name = text(*member, "name");
  const auto transport = flag(*member, "transport");
  if (!name || !transport) return std::nullopt;
  TransformSet set;
  set.name = *name;
  set.mode = *transport ? EncapsulationMode::transport : EncapsulationMode::tunnel;
  const auto integrity = [](std::string_view word) { return integrity_of_any_length(word); };
  if (!read_word(*member, "cipher", set.cipher,
                 [](std::string_view word) { return find_esp_cipher(word); }) ||
      !read_word(*member, "integrity", set.integrity, integrity) ||
      !read_word(*member, "ah", set.ah, integrity) ||
      !read_word(*member, "compression", set.compression,
                 [](std::string_view word) { return find_compression(word); })) {
    return std::nullopt;
  }
  const bool authentic = set.ah || set.integrity || (set.cipher && info(*set.cipher).aead());
  if ((!set.cipher && !set.ah) || !authentic) return std::nullopt;
  return set;
}

// The SPIs of one direction: what carries, the AH over it, the CPI.
struct Spis {
  SaId carrier;
  std::optional<SaId> ah;
  std::optional<SaId> comp;
};

std::optional<Spis> read_spis(const Json& json, const char* name, const IpAddress& destination,
                              const TransformSet& set) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_object()) return std::nullopt;
  const auto spi = [&](const char* which, IpsecProtocol protocol) -> std::optional<SaId> {
    const auto value = number(*member, which, 0xffff'ffff);
    if (!value || *value == 0) return std::nullopt;
    return SaId{destination, protocol, Spi{static_cast<std::uint32_t>(*value)}};
  };
  const auto carrier = spi("spi", set.cipher ? IpsecProtocol::esp : IpsecProtocol::ah);
  Spis spis;
  const bool bundle = set.protection() == Protection::ah_esp;
  if (bundle) spis.ah = spi("ah", IpsecProtocol::ah);
  if (set.compression) spis.comp = spi("cpi", IpsecProtocol::comp);
  if (!carrier || bundle != spis.ah.has_value() || set.compression.has_value() != spis.comp.has_value())
    return std::nullopt;
  spis.carrier = *carrier;
  return spis;
}

Json spis_json(const SaId& carrier, const std::optional<SaId>& ah, const std::optional<SaId>& comp) {
  Json json{{"spi", carrier.spi.value}};
  if (ah) json["ah"] = ah->spi.value;
  if (comp) json["cpi"] = comp->spi.value;
  return json;
}

bool read_encapsulation(const Json& json, KeptPair& pair) {
  const auto member = json.find("udp");
  if (member == json.end()) return true;
  if (!member->is_object()) return false;
  const auto local = number(*member, "local_port", 65535);
  const auto remote = number(*member, "remote_port", 65535);
  const auto marker = flag(*member, "non_ike_marker");
  if (!local || !remote || !marker) return false;
  pair.encapsulation =
      UdpEncapsulation{static_cast<std::uint16_t>(*local), static_cast<std::uint16_t>(*remote), *marker};
  return true;
}

bool read_times(const Json& json, KeptPair& pair) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 52;
  const auto life = number(json, "lifetime_s", 0xffff'ffff);
  const auto kilobytes = number(json, "kilobytes", kMax);
  const auto established = number(json, "established_ms", kMax);
  const auto keyed = number(json, "keyed_ms", kMax);
  if (!life || !kilobytes || !established || !keyed) return false;
  pair.lifetime = {Seconds(static_cast<std::int64_t>(*life)), Kilobytes{*kilobytes}};
  pair.established_at = Instant(Milliseconds(static_cast<std::int64_t>(*established)));
  pair.keyed_at = Instant(Milliseconds(static_cast<std::int64_t>(*keyed)));
  return true;
}

bool read_names(const Json& json, KeptPair& pair) {
  const auto peer = text(json, "peer");
  const auto tunnel = text(json, "tunnel");
  const auto reqid = number(json, "reqid", 0xffff'ffff);
  const auto initiator = flag(json, "initiator");
  const auto old = flag(json, "old");
  if (!peer || !tunnel || !reqid || !initiator || !old) return false;
  pair.peer = *peer;
  pair.tunnel = *tunnel;
  pair.reqid = Reqid{static_cast<std::uint32_t>(*reqid)};
  pair.negotiated_as = *initiator ? Role::initiator : Role::responder;
  pair.old = *old;
  if (!json.contains("narrows")) return true;
  const auto narrows = number(json, "narrows", 0xffff'ffff);
  if (narrows) pair.narrows = Reqid{static_cast<std::uint32_t>(*narrows)};
  return narrows.has_value();
}

bool read_ties(const Json& json, KeptPair& pair) {
  if (const auto mark = json.find("mark"); mark != json.end()) {
    if (!mark->is_object()) return false;
    const auto value = number(*mark, "value", 0xffff'ffff);
    const auto mask = number(*mark, "mask", 0xffff'ffff);
    if (!value || !mask || (*value & ~*mask) != 0) return false;
    pair.mark = {static_cast<std::uint32_t>(*value), static_cast<std::uint32_t>(*mask)};
  }
  if (!json.contains("if_id")) return true;
  const auto if_id = number(json, "if_id", 0xffff'ffff);
  if (if_id) pair.if_id = static_cast<std::uint32_t>(*if_id);
  return if_id.has_value();
}

std::optional<KeptPair> read_pair(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  KeptPair pair;
  const auto local = read_selector(json, "local");
  const auto remote = read_selector(json, "remote");
  const auto local_gateway = address(json, "local_gateway");
  const auto remote_gateway = address(json, "remote_gateway");
  const auto set = read_set(json);
  if (!local || !remote || !local_gateway || !remote_gateway || !set) return std::nullopt;
  if (local->family() != remote->family() || local_gateway->family() != remote_gateway->family())
    return std::nullopt;
  const auto in = read_spis(json, "in", *local_gateway, *set);
  const auto out = read_spis(json, "out", *remote_gateway, *set);
  if (!in || !out || !read_names(json, pair) || !read_times(json, pair) || !read_encapsulation(json, pair))
    return std::nullopt;
  if (json.contains("pfs")) {
    const auto group = number(json, "pfs", 255);
    pair.pfs = group ? find_dh_group(static_cast<std::uint32_t>(*group)) : std::nullopt;
    if (!pair.pfs) return std::nullopt;
  }
  if (!read_ties(json, pair)) return std::nullopt;
  if (json.contains("esn")) {
    const auto esn = flag(json, "esn");
    if (!esn) return std::nullopt;
    pair.esn = *esn;
  }
  pair.selectors = {*local, *remote};
  pair.local_gateway = *local_gateway;
  pair.remote_gateway = *remote_gateway;
  pair.set = *set;
  std::tie(pair.in, pair.ah_in, pair.comp_in) = std::tie(in->carrier, in->ah, in->comp);
  std::tie(pair.out, pair.ah_out, pair.comp_out) = std::tie(out->carrier, out->ah, out->comp);
  return pair;
}

std::optional<SaId> read_forgotten(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto destination = address(json, "destination");
  const auto protocol = number(json, "protocol", 255);
  const auto spi = number(json, "spi", 0xffff'ffff);
  if (!destination || !protocol || !spi) return std::nullopt;
  for (const IpsecProtocol one : {IpsecProtocol::esp, IpsecProtocol::ah}) {
    if (*protocol == static_cast<std::uint64_t>(one))
      return SaId{*destination, one, Spi{static_cast<std::uint32_t>(*spi)}};
  }
  return std::nullopt;
}

Error write_error(const std::string& path) {
  return {ErrorCode::internal,
          fmt::format("cannot write {}: {}", path, std::strerror(errno)),
          "room and permission in the state directory",
          "until then the SAs of this run may not be carried on with after a restart",
          {}};
}

}  // namespace

std::string kept_header(std::string_view boot) {
  return dump({{"version", kVersion}, {"boot", boot}});
}

std::string kept_line(const KeptPair& pair) {
  Json json{{"peer", pair.peer},
            {"tunnel", pair.tunnel},
            {"reqid", pair.reqid.value},
            {"local", selector_json(pair.selectors.local)},
            {"remote", selector_json(pair.selectors.remote)},
            {"local_gateway", pair.local_gateway.to_string()},
            {"remote_gateway", pair.remote_gateway.to_string()},
            {"in", spis_json(pair.in, pair.ah_in, pair.comp_in)},
            {"out", spis_json(pair.out, pair.ah_out, pair.comp_out)},
            {"set", set_json(pair.set)},
            {"initiator", pair.negotiated_as == Role::initiator},
            {"old", pair.old},
            {"lifetime_s", static_cast<std::uint64_t>(pair.lifetime.time.count())},
            {"kilobytes", pair.lifetime.kilobytes.value},
            {"established_ms", milliseconds(pair.established_at)},
            {"keyed_ms", milliseconds(pair.keyed_at)}};
  if (pair.narrows) json["narrows"] = pair.narrows->value;
  if (pair.esn) json["esn"] = true;
  if (!pair.mark.all()) json["mark"] = {{"value", pair.mark.value}, {"mask", pair.mark.mask}};
  if (pair.if_id != 0) json["if_id"] = pair.if_id;
  if (pair.pfs) json["pfs"] = static_cast<unsigned>(*pair.pfs);
  if (pair.encapsulation) {
    json["udp"] = {{"local_port", pair.encapsulation->local_port},
                   {"remote_port", pair.encapsulation->remote_port},
                   {"non_ike_marker", pair.encapsulation->non_ike_marker}};
  }
  return dump({{"keep", std::move(json)}});
}

std::string forgotten_line(const SaId& in) {
  return dump({{"forget",
                {{"destination", in.destination.to_string()},
                 {"protocol", static_cast<unsigned>(in.protocol)},
                 {"spi", in.spi.value}}}});
}

Result<std::vector<KeptPair>> parse_kept(std::string_view content, std::string_view boot) {
  std::map<SaId, KeptPair> pairs;
  std::size_t number_of_line = 0;
  while (true) {
    const std::size_t end = content.find('\n');
    if (end == std::string_view::npos) break;
    ++number_of_line;
    const Json json = end > kMaxKeptLine ? Json() : Json::parse(content.substr(0, end), nullptr, false);
    content.remove_prefix(end + 1);
    if (!json.is_object()) return not_ours(number_of_line, "no JSON object");
    if (number_of_line == 1) {
      if (number(json, "version", kVersion) != kVersion) return not_ours(1, "not of version 1");
      if (text(json, "boot") != boot || boot.empty()) return std::vector<KeptPair>{};
      continue;
    }
    if (const auto kept = json.find("keep"); kept != json.end()) {
      auto pair = read_pair(*kept);
      if (!pair) return not_ours(number_of_line, "an SA pair lacks something");
      const SaId in = pair->in;
      pairs.insert_or_assign(in, std::move(*pair));
    } else if (const auto forgotten = json.find("forget"); forgotten != json.end()) {
      const auto in = read_forgotten(*forgotten);
      if (!in) return not_ours(number_of_line, "what is to be forgotten has no name");
      pairs.erase(*in);
    } else {
      return not_ours(number_of_line, "neither keep nor forget");
    }
  }
  std::vector<KeptPair> all;
  all.reserve(pairs.size());
  for (auto& [in, pair] : pairs) all.push_back(std::move(pair));
  return all;
}

KeptStore::KeptStore(const std::string& state_dir, std::string boot)
    : path_(state_dir + "/kept-sas"), boot_(std::move(boot)) {}

Result<std::vector<KeptPair>> KeptStore::load() const {
  const auto content = pki::read_file(path_, kMaxKeptFile);
  if (!content && content.error().code == ErrorCode::not_found) return std::vector<KeptPair>{};
  if (!content) return fail(content.error());
  auto parsed = parse_kept({reinterpret_cast<const char*>(content->data()), content->size()}, boot_);
  if (parsed) return parsed;
  Error error = parsed.error();
  error.text = path_ + ": " + error.text;
  return fail(std::move(error));
}

Result<void> KeptStore::open() {
  lines_.clear();
  return rewrite();
}

void KeptStore::close() {
  fd_ = UniqueFd();
  lines_.clear();
  ::unlink(path_.c_str());
}

Result<void> KeptStore::rewrite() {
  std::string content = kept_header(boot_);
  for (const auto& [in, line] : lines_) content += line;
  fd_ = UniqueFd();
  if (auto written = pki::write_file(path_, as_bytes(content), pki::kSecretMode); !written) return written;
  fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (fd_.get() < 0) return fail(write_error(path_));
  written_ = lines_.size();
  return {};
}

Result<void> KeptStore::append(const std::string& line) {
  const bool anew = broken_ || written_ > 2 * lines_.size() + kPastLines;
  Result<void> done;
  if (anew) {
    done = rewrite();
  } else if (::write(fd_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size())) {
    ++written_;
  } else {
    done = fail(write_error(path_));
  }
  const bool told = std::exchange(broken_, !done);
  return told ? Result<void>{} : done;
}

Result<void> KeptStore::keep(const KeptPair& pair) {
  std::string line = kept_line(pair);
  lines_.insert_or_assign(pair.in, line);
  return append(line);
}

Result<void> KeptStore::forget(const SaId& in) {
  if (lines_.erase(in) == 0) return {};
  return append(forgotten_line(in));
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace oakgate
