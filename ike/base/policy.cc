#include "ike/base/policy.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace oakgate {

namespace {

void add(std::vector<Weak>& words, std::optional<Weak> word) {
  if (word && std::find(words.begin(), words.end(), *word) == words.end()) words.push_back(*word);
}

}  // namespace

std::string_view protocol_name(IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return "AH";
    case IpsecProtocol::esp:
      return "ESP";
    case IpsecProtocol::comp:
      return "IPComp";
  }
  return {};
}

std::string Identity::to_string() const {
  switch (kind) {
    case IdentityKind::address:
      return address.to_string();
    case IdentityKind::fqdn:
      return "hostname:" + text;
    case IdentityKind::user_fqdn:
      return "user-fqdn:" + text;
    case IdentityKind::dn:
      return text.empty() ? "dn" : "dn:" + text;
  }
  return {};
}

bool WeakWaiver::covers(Weak weak) const {
  return std::find(algorithms.begin(), algorithms.end(), weak) != algorithms.end();
}

bool WeakWaiver::expired(WallTime now) const {
  return until && now >= WallTime(*until + std::chrono::days(1));
}

std::vector<Weak> weak_things(const IsakmpPolicy& policy) {
  std::vector<Weak> words;
  add(words, info(policy.encryption).weak);
  add(words, info(policy.hash).weak);
  add(words, info(policy.group).weak);
  return words;
}

std::vector<Weak> weak_things(const TransformSet& set, std::optional<DhGroup> pfs) {
  std::vector<Weak> words;
  if (set.ah) add(words, info(*set.ah).weak);
  if (set.cipher) add(words, info(*set.cipher).weak);
  if (set.integrity) add(words, info(*set.integrity).weak);
  if (pfs) add(words, info(*pfs).weak);
  return words;
}

std::string to_string(const IsakmpPolicy& policy) {
  return std::string(info(policy.encryption).name) + " " + std::string(info(policy.hash).name) + " " +
         std::string(info(policy.group).name) + " " + std::string(info(policy.authentication).name);
}

std::string to_string(const TransformSet& set) {
  std::string text;
  const auto add = [&text](std::string_view prefix, std::string_view name) {
    text += (text.empty() ? "" : " ") + std::string(prefix) + std::string(name);
  };
  if (set.ah) add("ah-", info(*set.ah).name);
  if (set.cipher) add("", info(*set.cipher).name);
  if (set.integrity) add("esp-", info(*set.integrity).name);
  if (set.compression) add("", info(*set.compression).name);
  if (set.mode == EncapsulationMode::transport) add("", "transport");
  return text;
}

std::string PacketMark::to_string() const {
  std::array<char, 24> text{};
  const int size = std::snprintf(text.data(), text.size(), "0x%x/0x%x", value, mask);
  return {text.data(), static_cast<std::size_t>(size)};
}

TransformSet with_sha256_96(TransformSet set) {
  for (std::optional<Integrity>* one : {&set.integrity, &set.ah}) {
    if (*one == Integrity::sha256) *one = Integrity::sha256_96;
  }
  return set;
}

}  // namespace oakgate
