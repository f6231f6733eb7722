#include "daemon/capture/wireshark_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "daemon/capture/secret_text.h"
#include "ike/base/printable.h"

namespace oakgate::capture {

namespace {

constexpr std::string_view kEnded = "# phase 1 ended: ";

// Wireshark's names. Ciphers of one name differ in their key's length.
struct CipherName {
  std::string_view name;
  EspCipher cipher;
};
constexpr CipherName kCiphers[] = {
    {"NULL", EspCipher::null},
    {"DES-CBC [RFC2405]", EspCipher::des},
    {"TripleDES-CBC [RFC2451]", EspCipher::des3},
    {"AES-CBC [RFC3602]", EspCipher::aes_128},
    {"AES-CBC [RFC3602]", EspCipher::aes_192},
    {"AES-CBC [RFC3602]", EspCipher::aes_256},
    {"AES-CTR [RFC3686]", EspCipher::ctr_128},
    {"AES-CTR [RFC3686]", EspCipher::ctr_192},
    {"AES-CTR [RFC3686]", EspCipher::ctr_256},
    {"AES-GCM with 16 octet ICV [RFC4106]", EspCipher::gcm_128},
    {"AES-GCM with 16 octet ICV [RFC4106]", EspCipher::gcm_192},
    {"AES-GCM with 16 octet ICV [RFC4106]", EspCipher::gcm_256},
    {"AES-GCM with 12 octet ICV [RFC4106]", EspCipher::gcm12_128},
    {"AES-GCM with 12 octet ICV [RFC4106]", EspCipher::gcm12_192},
    {"AES-GCM with 12 octet ICV [RFC4106]", EspCipher::gcm12_256},
    {"AES-GCM with 8 octet ICV [RFC4106]", EspCipher::gcm8_128},
    {"AES-GCM with 8 octet ICV [RFC4106]", EspCipher::gcm8_192},
    {"AES-GCM with 8 octet ICV [RFC4106]", EspCipher::gcm8_256},
    {"AES-GCM [RFC4106]", EspCipher::gcm_128},  // older ones' word
    {"AES-GCM [RFC4106]", EspCipher::gcm_192},
    {"AES-GCM [RFC4106]", EspCipher::gcm_256},
};
struct IntegrityName {
  std::string_view name;
  std::optional<Integrity> integrity;
  std::uint8_t unchecked = 0;
};
constexpr IntegrityName kIntegrities[] = {
    {"NULL", std::nullopt},
    {"HMAC-MD5-96 [RFC2403]", Integrity::md5},
    {"HMAC-SHA-1-96 [RFC2404]", Integrity::sha},
    {"HMAC-SHA-256-128 [RFC4868]", Integrity::sha256},
    {"HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]", Integrity::sha256_96},
    {"HMAC-SHA-384-192 [RFC4868]", Integrity::sha384},
    {"HMAC-SHA-512-256 [RFC4868]", Integrity::sha512},
    {"ANY 64 bit authentication [no checking]", std::nullopt, 8},
    {"ANY 96 bit authentication [no checking]", std::nullopt, 12},
    {"ANY 128 bit authentication [no checking]", std::nullopt, 16},
    {"ANY 192 bit authentication [no checking]", std::nullopt, 24},
    {"ANY 256 bit authentication [no checking]", std::nullopt, 32},
};

std::string_view integrity_name(const EspKeys& keys) {
  // What Wireshark cannot check it can still skip.
  const bool unknown = keys.integrity == Integrity::aes_xcbc;
  for (const IntegrityName& row : kIntegrities) {
    if (unknown ? row.unchecked == info(*keys.integrity).icv_bytes
                : row.integrity == keys.integrity && row.unchecked == keys.unchecked_icv) {
      return row.name;
    }
  }
  return "NULL";
}

std::string address_text(const std::optional<IpAddress>& address) {
  return address ? address->to_string() : "*";
}

std::size_t key_size(EspCipher cipher) {
  return std::size_t{info(cipher).key_bytes} + info(cipher).salt_bytes;
}

// ---- reading -------------------------------------------------------------------------------------------

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// A row's values: separated by commas, with or without quotes. Views into the text.
std::optional<std::vector<std::string_view>> values_of(std::string_view line) {
  std::vector<std::string_view> values;
  while (true) {
    line = trimmed(line);
    std::size_t end = 0;
    if (!line.empty() && line.front() == '"') {
      end = line.find('"', 1);
      if (end == std::string_view::npos) return std::nullopt;
      values.push_back(line.substr(1, end - 1));
      line = trimmed(line.substr(end + 1));
      if (!line.empty() && line.front() != ',') return std::nullopt;
    } else {
      end = std::min(line.find(','), line.size());
      values.push_back(trimmed(line.substr(0, end)));
      line.remove_prefix(end);
    }
    if (line.empty()) return values;
    line.remove_prefix(1);
    if (values.size() > 16) return std::nullopt;
  }
}

// "0x" and digits. Intermediate text is wiped by nobody but Bytes moves into the secret whole.
std::optional<SecretBytes> key_of(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  auto bytes = from_hex(text);
  if (!bytes) return std::nullopt;
  return SecretBytes(std::move(*bytes));
}

bool read_cookie(std::string_view text, Cookie& out) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != out.size()) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

bool read_address(std::string_view text, std::optional<IpAddress>& out) {
  if (text == "*") return true;
  out = IpAddress::parse(text);
  return out.has_value();
}

bool read_spi(std::string_view text, std::optional<Spi>& out) {
  if (text == "*") return true;
  if (!text.starts_with("0x") && !text.starts_with("0X")) return false;
  std::uint32_t value = 0;
  const auto end = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return false;
  out = Spi{value};
  return true;
}

// What was expected; empty: it is taken, or none of ours.
std::string_view read_ended(std::string_view line, KeyTables& tables) {
  constexpr std::string_view kExpected = "COOKIE-I COOKIE-R CIPHER HASH LAST-BLOCK";
  line.remove_prefix(kEnded.size());
  std::array<std::string_view, 5> words;
  for (std::string_view& word : words) {
    line = trimmed(line);
    const std::size_t end = std::min(line.find(' '), line.size());
    word = line.substr(0, end);
    line.remove_prefix(end);
  }
  KeyTables::Phase1End ended;
  const auto cipher = find_ike_cipher(words[2]);
  const auto hash = find_ike_hash(words[3]);
  auto block = from_hex(words[4]);
  if (!read_cookie(words[0], ended.cookies.initiator) || !read_cookie(words[1], ended.cookies.responder) ||
      !cipher || !hash || !block || block->size() != info(*cipher).block_bytes || !trimmed(line).empty()) {
    return kExpected;
  }
  ended.cipher = *cipher;
  ended.hash = *hash;
  ended.last_block = std::move(*block);
  tables.ended.push_back(std::move(ended));
  return {};
}

std::string_view read_ike(const std::vector<std::string_view>& values, KeyTables& tables) {
  KeyTables::IkeKey row;
  if (!read_cookie(values[0], row.initiator)) return "the initiator's cookie, 16 hexadecimal digits";
  auto key = key_of(values[1]);
  if (!key || key->empty() || key->size() > 64) return "a key of 1 to 64 bytes in hexadecimal";
  row.key = std::move(*key);
  tables.ike.push_back(std::move(row));
  return {};
}

std::string_view read_esp(const std::vector<std::string_view>& values, KeyTables& tables) {
  EspKeys row;
  if (values[0] != "IPv4" && values[0] != "IPv6") return "IPv4 or IPv6";
  if (!read_address(values[1], row.source) || !read_address(values[2], row.destination))
    return "an address or *";
  if (!read_spi(values[3], row.spi)) return "an SPI, 0x and hexadecimal digits, or *";
  auto encryption = key_of(values[5]);
  auto integrity = key_of(values[7]);
  if (!encryption || !integrity) return "keys as 0x and hexadecimal digits";
  const bool named = std::any_of(std::begin(kCiphers), std::end(kCiphers),
                                 [&](const auto& c) { return c.name == values[4]; });
  if (!named) return "an encryption algorithm in Wireshark's words, one that oakgate knows";
  const auto cipher = std::find_if(std::begin(kCiphers), std::end(kCiphers), [&](const CipherName& one) {
    return one.name == values[4] &&
           (one.cipher == EspCipher::null || key_size(one.cipher) == encryption->size());
  });
  if (cipher == std::end(kCiphers)) return "an encryption key as long as the algorithm has it";
  const auto check = std::find_if(std::begin(kIntegrities), std::end(kIntegrities),
                                  [&](const IntegrityName& one) { return one.name == values[6]; });
  if (check == std::end(kIntegrities)) return "an authentication algorithm in Wireshark's words";
  if (check->integrity && info(*check->integrity).key_bytes != integrity->size())
    return "an authentication key as long as the algorithm has it";
  row.cipher = cipher->cipher;
  row.integrity = check->integrity;
  row.unchecked_icv = check->unchecked;
  if (row.cipher != EspCipher::null) row.encryption_key = std::move(*encryption);
  if (row.integrity) row.integrity_key = std::move(*integrity);
  tables.esp.push_back(std::move(row));
  return {};
}

std::string_view read_line(std::string_view line, KeyTables& tables) {
  if (line.starts_with(kEnded)) return read_ended(line, tables);
  if (line.empty() || line.front() == '#') return {};
  const auto values = values_of(line);
  if (values && values->size() == 2) return read_ike(*values, tables);
  // Newer Wiresharks have the sequence numbers' length behind the keys.
  if (values && values->size() >= 8 && values->size() <= 10) return read_esp(*values, tables);
  return "COOKIE,KEY as in ikev1_decryption_table, or the eight values of a row of esp_sa";
}

}  // namespace

std::optional<SecretBytes> esp_line(const EspKeys& keys) {
  const auto cipher = std::find_if(std::begin(kCiphers), std::end(kCiphers),
                                   [&](const CipherName& one) { return one.cipher == keys.cipher; });
  if (cipher == std::end(kCiphers)) return std::nullopt;
  const bool v6 = keys.source && !keys.source->is_v4();
  SecretText line(1024);
  line.add(fmt::format("\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",\"0x", v6 ? "IPv6" : "IPv4",
                       address_text(keys.source), address_text(keys.destination),
                       keys.spi ? fmt::format("{:#010x}", keys.spi->value) : "*", cipher->name));
  line.add_hex(keys.encryption_key.view());
  line.add(fmt::format("\",\"{}\",\"0x", integrity_name(keys)));
  line.add_hex(keys.integrity_key.view());
  line.add("\"\n");
  return line.take();
}

SecretBytes ike_lines(const ike::DecryptionKey& key) {
  SecretText line(1024);
  line.add_hex(key.cookies.initiator);
  line.add(",");
  line.add_hex(key.key.view());
  line.add("\n");
  if (!key.last_phase1_block.empty()) {
    line.add(kEnded);
    line.add_hex(key.cookies.initiator);
    line.add(" ");
    line.add_hex(key.cookies.responder);
    line.add(fmt::format(" {} {} ", info(key.cipher).name, info(key.hash).name));
    line.add_hex(key.last_phase1_block);
    line.add("\n");
  }
  return line.take();
}

Result<void> read_table(std::string_view text, std::string_view file, KeyTables& tables) {
  const auto bad = [&](std::size_t line, std::string_view what, std::string_view expected) {
    return fail(ErrorCode::malformed, fmt::format("{}:{}: {}", printable(file), line, what),
                std::string(expected), "a table as `oakgate capture` or Wireshark writes it");
  };
  if (text.size() > kMaxTableBytes)
    return bad(1, "the file is too long", fmt::format("at most {} bytes", kMaxTableBytes));
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > kMaxTableLine)
      return bad(number, "the line is too long", fmt::format("at most {} bytes", kMaxTableLine));
    if (tables.ike.size() + tables.ended.size() + tables.esp.size() >= kMaxTableRows)
      return bad(number, "there are too many rows", fmt::format("at most {}", kMaxTableRows));
    const std::string_view expected = read_line(line, tables);
    if (!expected.empty()) return bad(number, "the row is not a table's", expected);
  }
  return {};
}

}  // namespace oakgate::capture
