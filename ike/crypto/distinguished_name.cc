// Distinguished names: printing and comparing are OpenSSL's (its canonical form is RFC 5280 section 7.1's:
// case and blanks folded, string types alike); reading text is ours, because OpenSSL has no reader for
// RFC 4514 section 2.
#include "ike/crypto/distinguished_name.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <array>
#include <vector>

#include "ike/crypto/openssl.h"

namespace oakgate::crypto {
namespace {

using Name = Owned<X509_NAME, X509_NAME_free>;
using NameEntry = Owned<X509_NAME_ENTRY, X509_NAME_ENTRY_free>;
using Object = Owned<ASN1_OBJECT, ASN1_OBJECT_free>;
using AnyValue = Owned<ASN1_TYPE, ASN1_TYPE_free>;
using MemoryBio = Owned<BIO, BIO_free_all>;

constexpr std::size_t kMaxNameBytes = 16384;

Name parse_name(ByteView der) {
  if (der.empty() || der.size() > kMaxNameBytes) return {};
  const unsigned char* cursor = der.data();
  Name name(d2i_X509_NAME(nullptr, &cursor, static_cast<long>(der.size())));
  if (name == nullptr) drop_openssl_errors();
  if (cursor != der.data() + der.size()) return {};
  return name;
}

// One "type=value", its value unescaped; or, after '#', the DER of any string.
struct Part {
  std::string type;
  Bytes value;
  bool der = false;
};
using RelativeName = std::vector<Part>;  // parts joined by '+'

tl::unexpected<Error> bad_name(std::string_view why) {
  return fail(ErrorCode::configuration, "not a distinguished name: " + std::string(why),
              "RFC 4514, most specific first: \"CN=gw-a,O=corp,C=us\"",
              "Escape , + \" \\ < > ; and # at the beginning of a value by \\.");
}

// RFC 4514 section 3, with blanks around the parts and RFC 2253's quoted values and ';'.
class NameReader {
 public:
  explicit NameReader(std::string_view text) : text_(text) {}

  Result<std::vector<RelativeName>> read() {
    std::vector<RelativeName> names(1);
    while (true) {
      auto part = read_part();
      if (!part) return tl::unexpected(part.error());
      names.back().push_back(std::move(*part));
      if (at_ == text_.size()) return names;
      if (const char separator = text_[at_++]; separator != '+') names.emplace_back();
    }
  }

 private:
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool ends_part(char c) { return c == ',' || c == ';' || c == '+'; }
  [[nodiscard]] bool more() const { return at_ < text_.size(); }
  void skip_blanks() {
    while (more() && is_blank(text_[at_])) ++at_;
  }

  Result<Part> read_part() {
    Part part;
    skip_blanks();
    const std::size_t equals = text_.find('=', at_);
    if (equals == std::string_view::npos)
      return bad_name("no '=' in \"" + std::string(text_.substr(at_)) + "\"");
    part.type = std::string(text_.substr(at_, equals - at_));
    while (!part.type.empty() && is_blank(part.type.back())) part.type.pop_back();
    at_ = equals + 1;
    skip_blanks();
    if (more() && text_[at_] == '#') return read_hexadecimal(std::move(part));
    const bool quoted = more() && text_[at_] == '"';
    if (quoted) ++at_;
    if (auto done = quoted ? read_quoted(part.value) : read_plain(part.value); !done) {
      return tl::unexpected(done.error());
    }
    if (part.value.empty()) return bad_name("\"" + part.type + "\" has no value");
    return part;
  }

  Result<Part> read_hexadecimal(Part part) {
    const std::size_t begin = ++at_;
    while (more() && !ends_part(text_[at_])) ++at_;
    auto value = from_hex(text_.substr(begin, at_ - begin));
    if (!value || value->empty()) return bad_name("\"" + part.type + "\": hexadecimal digits follow '#'");
    part.value = std::move(*value);
    part.der = true;
    return part;
  }

  Result<void> read_escape(Bytes& out) {
    if (!more()) return bad_name("'\\' at its end");
    if (at_ + 1 < text_.size()) {
      if (const auto pair = from_hex(text_.substr(at_, 2)); pair && pair->size() == 1) {
        out.push_back(pair->front());
        at_ += 2;
        return {};
      }
    }
    if (std::string_view(",+\"\\<>;#= ").find(text_[at_]) == std::string_view::npos) {
      return bad_name(std::string("'\\' before '") + text_[at_] + "'");
    }
    out.push_back(static_cast<std::uint8_t>(text_[at_++]));
    return {};
  }

  Result<void> read_plain(Bytes& out) {
    std::size_t significant = 0;  // blanks at the end do not belong to the value, escaped ones do
    while (more() && !ends_part(text_[at_])) {
      const char c = text_[at_++];
      if (c == '"' || c == '<' || c == '>') return bad_name(std::string("'") + c + "' not escaped");
      if (c == '\\') {
        if (auto escaped = read_escape(out); !escaped) return escaped;
        significant = out.size();
        continue;
      }
      out.push_back(static_cast<std::uint8_t>(c));
      if (!is_blank(c)) significant = out.size();
    }
    out.resize(significant);
    return {};
  }

  Result<void> read_quoted(Bytes& out) {
    while (more() && text_[at_] != '"') {
      const char c = text_[at_++];
      if (c != '\\') {
        out.push_back(static_cast<std::uint8_t>(c));
      } else if (auto escaped = read_escape(out); !escaped) {
        return escaped;
      }
    }
    if (!more()) return bad_name("a quotation mark is missing");
    ++at_;
    skip_blanks();
    if (more() && !ends_part(text_[at_])) return bad_name("text behind a quoted value");
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// Types are case-insensitive (RFC 4514 section 3); OpenSSL's names are not. Beside RFC 4514's own, those that
// IOS, PIX and OpenSSL print.
struct TypeName {
  std::string_view word;  // lower case
  int nid;
};
constexpr std::array kTypeNames = std::to_array<TypeName>({
    {"cn", NID_commonName},
    {"commonname", NID_commonName},
    {"l", NID_localityName},
    {"localityname", NID_localityName},
    {"st", NID_stateOrProvinceName},
    {"s", NID_stateOrProvinceName},
    {"stateorprovincename", NID_stateOrProvinceName},
    {"o", NID_organizationName},
    {"organizationname", NID_organizationName},
    {"ou", NID_organizationalUnitName},
    {"organizationalunitname", NID_organizationalUnitName},
    {"c", NID_countryName},
    {"countryname", NID_countryName},
    {"street", NID_streetAddress},
    {"streetaddress", NID_streetAddress},
    {"dc", NID_domainComponent},
    {"domaincomponent", NID_domainComponent},
    {"uid", NID_userId},
    {"userid", NID_userId},
    {"e", NID_pkcs9_emailAddress},
    {"ea", NID_pkcs9_emailAddress},
    {"email", NID_pkcs9_emailAddress},
    {"emailaddress", NID_pkcs9_emailAddress},
    {"serialnumber", NID_serialNumber},
    {"sn", NID_surname},
    {"surname", NID_surname},
    {"gn", NID_givenName},
    {"givenname", NID_givenName},
    {"initials", NID_initials},
    {"title", NID_title},
    {"t", NID_title},
    {"generationqualifier", NID_generationQualifier},
    {"dnqualifier", NID_dnQualifier},
    {"pseudonym", NID_pseudonym},
    {"hostname", NID_pkcs9_unstructuredName},
    {"unstructuredname", NID_pkcs9_unstructuredName},
    {"ipaddress", NID_pkcs9_unstructuredAddress},
    {"unstructuredaddress", NID_pkcs9_unstructuredAddress},
});

Object find_type(std::string_view text) {
  std::string word = lower(text);
  for (const TypeName& type : kTypeNames) {
    if (word == type.word) return Object(OBJ_dup(OBJ_nid2obj(type.nid)));
  }
  if (word.starts_with("oid.")) word.erase(0, 4);
  if (word.find_first_not_of("0123456789.") != std::string::npos || word.empty() || word.back() == '.') {
    return {};
  }
  return Object(OBJ_txt2obj(word.c_str(), 1));  // 1: no names, dotted numbers alone
}

NameEntry make_entry(const ASN1_OBJECT* type, const Part& part) {
  const auto size = static_cast<int>(part.value.size());  // the text's length is bounded by the caller
  if (!part.der) {
    // MBSTRING: OpenSSL's table chooses the string type (PrintableString for C) and knows RFC 5280's lengths.
    return NameEntry(X509_NAME_ENTRY_create_by_OBJ(nullptr, type, MBSTRING_UTF8, part.value.data(), size));
  }
  const unsigned char* cursor = part.value.data();
  const AnyValue value(d2i_ASN1_TYPE(nullptr, &cursor, size));
  if (value == nullptr || cursor != part.value.data() + size) return {};
  const int tag = ASN1_TYPE_get(value.get());
  constexpr unsigned long kStrings = (B_ASN1_DIRECTORYSTRING) | B_ASN1_IA5STRING;
  if ((ASN1_tag2bit(tag) & kStrings) == 0) return {};
  const ASN1_STRING* text = value->value.asn1_string;
  return NameEntry(X509_NAME_ENTRY_create_by_OBJ(nullptr, type, tag, ASN1_STRING_get0_data(text),
                                                 ASN1_STRING_length(text)));
}

Result<void> add_part(X509_NAME& name, const Part& part, bool joined) {
  const Object type = find_type(part.type);
  if (type == nullptr) {
    drop_openssl_errors();
    return bad_name("unknown attribute \"" + part.type + "\"");
  }
  const NameEntry entry = make_entry(type.get(), part);
  if (entry == nullptr || X509_NAME_add_entry(&name, entry.get(), -1, joined ? -1 : 0) != 1) {
    drop_openssl_errors();
    return bad_name("\"" + part.type + "\" cannot have this value");
  }
  return {};
}

}  // namespace

Result<std::string> name_text(ByteView der) {
  const Name name = parse_name(der);
  if (name == nullptr) return fail(ErrorCode::malformed, "not a distinguished name", "the DER of a Name");
  const MemoryBio out(BIO_new(BIO_s_mem()));
  if (out == nullptr || X509_NAME_print_ex(out.get(), name.get(), 0, XN_FLAG_RFC2253) < 0) {
    return openssl_failure("print a distinguished name");
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
}

Result<Bytes> name_from_text(std::string_view text) {
  if (text.size() > kMaxNameBytes) return bad_name("longer than 16384 characters");
  if (text.find('\0') != std::string_view::npos) return bad_name("a NUL in it");
  auto parts = NameReader(text).read();
  if (!parts) return tl::unexpected(parts.error());
  const Name name(X509_NAME_new());
  if (name == nullptr) return openssl_failure("make a distinguished name");
  // RFC 4514 section 2.1: "starting with the last element of the sequence and moving backwards".
  for (auto relative = parts->rbegin(); relative != parts->rend(); ++relative) {
    bool joined = false;
    for (const Part& part : *relative) {
      if (auto added = add_part(*name, part, joined); !added) return tl::unexpected(added.error());
      joined = true;
    }
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509_NAME(name.get(), &der);
  if (size <= 0) return openssl_failure("encode a distinguished name");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

bool same_name(ByteView a, ByteView b) {
  const Name left = parse_name(a);
  const Name right = parse_name(b);
  return left != nullptr && right != nullptr && X509_NAME_cmp(left.get(), right.get()) == 0;
}

}  // namespace oakgate::crypto
