#include "conf/swan/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "conf/text.h"
#include "conf/values.h"
#include "ike/base/bytes.h"

namespace oakgate::conf::swan {

namespace {

constexpr std::size_t kMaxShown = 160;

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// RFC 4648 section 4; padding may be missing. Nothing: it is none.
std::optional<Bytes> from_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  Bytes out;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    group = (group << 6 | static_cast<std::uint32_t>(digit)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<std::uint8_t>(group >> bits));
  }
  return out;
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// "C=CH, O=corp, CN=gw-b" or "/C=CH/O=corp/CN=gw-b" the other way round. Escapes and quotes inside would need
// more than turning round: none of ours then.
std::optional<std::string> turned_name(std::string_view text) {
  if (text.find_first_of("\"\\+<>;") != std::string_view::npos) return std::nullopt;
  const char separator = text.front() == '/' ? '/' : ',';
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = trim(text.substr(0, end));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::reverse(parts.begin(), parts.end());
  std::string name;
  for (const std::string& part : parts) {
    if (part.find('=') == std::string::npos) return std::nullopt;
    name += (name.empty() ? "" : ",") + part;
  }
  return "dn:" + name;
}

// A name that is not ASCII, or would need escapes, is listed instead.
std::optional<std::string> checked_identity(std::string text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (!plain || !parse_identity(text)) return std::nullopt;
  return text;
}

struct Prefix {
  std::string_view theirs;
  std::string_view ours;
};
constexpr std::array kPrefixes{Prefix{"fqdn:", "hostname:"},
                               Prefix{"dns:", "hostname:"},
                               Prefix{"userfqdn:", "user-fqdn:"},
                               Prefix{"user-fqdn:", "user-fqdn:"},
                               Prefix{"email:", "user-fqdn:"},
                               Prefix{"rfc822:", "user-fqdn:"},
                               Prefix{"ipv4:", ""},
                               Prefix{"ipv6:", ""}};

bool is_secret(std::string_view key) {
  constexpr std::array<std::string_view, 5> kSecret{"secret", "password", "passphrase", "pin", "psk"};
  return std::find(kSecret.begin(), kSecret.end(), lower(key)) != kSecret.end();
}

template <typename Proposal>
void note_unknown(const Setting& setting, const Proposals<Proposal>& read, std::vector<Note>& notes) {
  std::string words;
  for (std::size_t i = 0; i < read.unknown.size() && i < 8; ++i)
    words += (i == 0 ? "" : ", ") + quote(read.unknown[i]);
  if (words.empty()) return;
  notes.push_back(
      note_of(setting, words + ": no algorithm that oakgate has for it; what names it is left out"));
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<std::string> words_in(std::string_view text) {
  constexpr std::string_view kBetween = ", \t\r\n{}";
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
    if (end != 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::optional<bool> yes_or_no(std::string_view text) {
  const std::string word = lower(text);
  for (const std::string_view yes : {"yes", "true", "1", "on", "enabled", "force", "accept"}) {
    if (word == yes) return true;
  }
  for (const std::string_view no : {"no", "false", "0", "off", "disabled", "never"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Seconds> seconds(std::string_view text) {
  struct Unit {
    char letter;
    std::uint64_t seconds;
  };
  constexpr std::array kUnits{Unit{'s', 1}, Unit{'m', 60}, Unit{'h', 3600}, Unit{'d', 86400}};
  constexpr std::uint64_t kMost = 100ULL * 365 * 86400;
  std::uint64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (text.empty() || text.back() != unit.letter) continue;
    factor = unit.seconds;
    text.remove_suffix(1);
    break;
  }
  const auto value = number(text);
  if (!value || *value == 0 || *value > kMost / factor) return std::nullopt;
  return Seconds(static_cast<std::int64_t>(*value * factor));
}

std::optional<std::string> identity_of(std::string_view written) {
  std::string_view text = trim(unquoted(trim(written)));
  if (text.empty() || text.front() == '%' || text == "*" || text.starts_with("@#") || text.starts_with("@["))
    return std::nullopt;
  const std::string folded = lower(text);
  for (const Prefix& prefix : kPrefixes) {
    if (folded.starts_with(prefix.theirs))
      return checked_identity(std::string(prefix.ours) + std::string(text.substr(prefix.theirs.size())));
  }
  if (folded.starts_with("asn1dn:")) text = trim(text.substr(7));
  if (text.empty()) return std::nullopt;
  if (text.starts_with("@@")) return checked_identity("user-fqdn:" + std::string(text.substr(2)));
  if (text.front() == '@') return checked_identity("hostname:" + std::string(text.substr(1)));
  if (IpAddress::parse(text)) return checked_identity(std::string(text));
  if (text.find('=') != std::string_view::npos) {
    auto name = turned_name(text);
    return name ? checked_identity(std::move(*name)) : std::nullopt;
  }
  if (text.find('@') != std::string_view::npos) return checked_identity("user-fqdn:" + std::string(text));
  return checked_identity("hostname:" + std::string(text));
}

std::optional<std::string> peer_address(std::string_view text) {
  const std::string word = lower(trim(text));
  if (word.empty() || word == "%any" || word == "%any4" || word == "0.0.0.0" || word == "%any6" ||
      word == "::" || word == "0.0.0.0/0" || word == "::/0")
    return "any";
  if (word.front() == '%' || !parse_peer_address(word)) return std::nullopt;
  return word;
}

bool add_protocol(Selector& selector, std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string protocol = lower(trim(text.substr(0, slash)));
  std::string port = slash == std::string_view::npos ? "" : lower(trim(text.substr(slash + 1)));
  if (protocol.empty() || protocol == "%any" || protocol == "any" || protocol == "0")
    return port.empty() || port == "%any" || port == "any" || port == "0";
  if (port == "%any" || port == "any" || port == "0") port.clear();
  const auto parsed =
      parse_selector(selector.to_string() + " " + protocol + (port.empty() ? "" : " " + port));
  if (!parsed) return false;
  selector = *parsed;
  return true;
}

std::optional<Selector> selector(std::string_view text) {
  text = trim(text);
  std::string_view protocol;
  if (const std::size_t bracket = text.find('['); bracket != std::string_view::npos) {
    if (text.back() != ']') return std::nullopt;
    protocol = text.substr(bracket + 1, text.size() - bracket - 2);
    text = text.substr(0, bracket);
  }
  std::string addresses = lower(text);
  if (addresses == "%any" || addresses == "0/0") addresses = "0.0.0.0/0";
  auto parsed = parse_selector(addresses);
  if (!parsed) {
    // The bits behind the length may be set there, and a host may stand without one.
    const std::size_t slash = addresses.find('/');
    const auto address = IpAddress::parse(addresses.substr(0, slash));
    const auto length = slash == std::string::npos ? std::nullopt : number(addresses.substr(slash + 1));
    const std::uint64_t most = address && address->is_v4() ? 32 : 128;
    if (!address || (slash != std::string::npos && (!length || *length > most))) return std::nullopt;
    parsed = parse_selector(Subnet(*address, static_cast<int>(length.value_or(most))).to_string());
    if (!parsed) return std::nullopt;
  }
  if (!protocol.empty() && !add_protocol(*parsed, protocol)) return std::nullopt;
  return *parsed;
}

std::string mark(std::string_view text) {
  const auto one = [](std::string_view word, std::uint64_t& value) {
    int base = 10;
    if (word.starts_with("0x") || word.starts_with("0X")) {
      word.remove_prefix(2);
      base = 16;
    }
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
    return error == std::errc{} && end == word.data() + word.size() && !word.empty() &&
           value <= std::numeric_limits<std::uint32_t>::max();
  };
  const std::size_t slash = text.find('/');
  std::uint64_t value = 0;
  std::uint64_t mask = 0xffff'ffff;
  if (!one(trim(text.substr(0, slash)), value)) return {};
  if (slash != std::string_view::npos && !one(trim(text.substr(slash + 1)), mask)) return {};
  if (value == 0 || mask == 0 || (value & ~mask) != 0) return {};
  return PacketMark{static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(mask)}.to_string();
}

SecretBytes pre_shared_key(std::string_view written) {
  const std::string_view text = trim(written);
  const std::string_view bare = unquoted(text);
  if (bare.size() != text.size())
    return SecretBytes(ByteView(reinterpret_cast<const std::uint8_t*>(bare.data()), bare.size()));
  if (text.starts_with("0x") || text.starts_with("0X")) {
    std::string digits(text.substr(2));
    std::erase(digits, '_');
    auto bytes = from_hex(digits);
    return bytes ? SecretBytes(std::move(*bytes)) : SecretBytes{};
  }
  if (text.starts_with("0s") || text.starts_with("0S")) {
    auto bytes = from_base64(text.substr(2));
    return bytes ? SecretBytes(std::move(*bytes)) : SecretBytes{};
  }
  return SecretBytes(ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

Note note_at(int line, std::string_view text, std::string why) {
  std::string shown = printable(text);
  if (shown.size() > kMaxShown) shown = shown.substr(0, kMaxShown) + " ...";
  return {line, std::move(shown), std::move(why)};
}

Note note_of(const Setting& setting, std::string why) {
  const std::string value = is_secret(setting.key) ? "..." : setting.value;
  return note_at(setting.line, setting.key + " = " + value, std::move(why));
}

std::vector<IsakmpPolicy> policies_of(const Setting& setting, AuthMethod method, std::vector<Note>& notes) {
  const auto read = read_ike_proposals(setting.value);
  note_unknown(setting, read, notes);
  std::vector<IsakmpPolicy> policies;
  bool no_group = false;
  for (const IkeProposal& one : read.all) {
    IsakmpPolicy policy;
    policy.encryption = one.cipher;
    policy.hash = one.hash;
    policy.group = one.group.value_or(DhGroup::modp2048);
    policy.authentication = method;
    no_group = no_group || !one.group;
    policies.push_back(policy);
  }
  if (no_group)
    notes.push_back(note_of(
        setting, "a proposal names no group, and which it means is not in the file: group14 is taken"));
  return policies;
}

void take_sets(const Setting& setting, bool ah, Connection& connection, Child& child,
               std::vector<Note>& notes) {
  const auto read = ah ? read_ah_proposals(setting.value) : read_esp_proposals(setting.value);
  note_unknown(setting, read, notes);
  if (read.sha256_96) connection.sha256_96 = true;
  if (read.esn) child.esn = true;
  bool several = false;
  for (const EspProposal& one : read.all) {
    if (!child.pfs) child.pfs = one.group;
    several = several || one.group != child.pfs;
    if (std::find(child.sets.begin(), child.sets.end(), one.set) == child.sets.end())
      child.sets.push_back(one.set);
  }
  if (several) {
    notes.push_back(note_of(setting,
                            "its proposals have different groups: `pfs` of a tunnel is one, the first; as "
                            "responder any is taken"));
  }
}

std::vector<IsakmpPolicy> usual_policies(AuthMethod method) {
  std::vector<IsakmpPolicy> policies;
  for (const IkeCipher cipher : {IkeCipher::aes_256, IkeCipher::aes_128}) {
    for (const IkeHash hash : {IkeHash::sha256, IkeHash::sha})
      policies.push_back({0, cipher, hash, DhGroup::modp2048, method});
  }
  return policies;
}

std::vector<TransformSet> usual_sets() {
  std::vector<TransformSet> sets;
  for (const EspCipher cipher : {EspCipher::aes_256, EspCipher::aes_128}) {
    for (const Integrity integrity : {Integrity::sha256, Integrity::sha})
      sets.push_back({{}, cipher, integrity});
  }
  return sets;
}

}  // namespace oakgate::conf::swan
