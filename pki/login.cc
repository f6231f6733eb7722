#include "pki/login.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pki/identity.h"

namespace oakgate::pki {
namespace {

using GeneralNames = crypto::Owned<GENERAL_NAMES, GENERAL_NAMES_free>;

constexpr std::string_view kSecureShellClient = "1.3.6.1.5.5.7.3.21";
constexpr std::string_view kClientAuth = "1.3.6.1.5.5.7.3.2";
constexpr std::string_view kAnyPurpose = "2.5.29.37.0";
constexpr std::string_view kUserPrincipalName = "1.3.6.1.4.1.311.20.2.3";

// None: something in it is not graphic ASCII.
std::optional<std::string> graphic(const ASN1_STRING* string) {
  unsigned char* utf8 = nullptr;
  const int size = string == nullptr ? -1 : ASN1_STRING_to_UTF8(&utf8, string);
  crypto::drop_openssl_errors();
  if (size <= 0) return std::nullopt;
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return visible ? std::optional(std::move(text)) : std::nullopt;
}

// What a field holds; `unreadable`: one of its values is no name.
struct Values {
  std::vector<std::string> texts;
  bool unreadable = false;
  void add(const ASN1_STRING* string) {
    if (auto text = graphic(string)) {
      texts.push_back(std::move(*text));
    } else {
      unreadable = true;
    }
  }
};

Values of_subject(const Certificate& leaf, int nid) {
  Values out;
  const X509_NAME* subject = X509_get_subject_name(leaf.native());
  for (int at = X509_NAME_get_index_by_NID(subject, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, nid, at)) {
    out.add(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  }
  return out;
}

bool is_principal_name(const OTHERNAME* other) {
  char text[80];
  const int size = OBJ_obj2txt(text, sizeof text, other->type_id, 1);
  return size > 0 && std::string_view(text) == kUserPrincipalName;
}

Values of_alternative_names(const Certificate& leaf, LoginName field) {
  Values out;
  const GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf.native(), NID_subject_alt_name, nullptr, nullptr)));
  crypto::drop_openssl_errors();
  for (int index = 0; index < sk_GENERAL_NAME_num(names.get()); ++index) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), index);
    if (field == LoginName::san_email && name->type == GEN_EMAIL) out.add(name->d.rfc822Name);
    if (field != LoginName::san_upn || name->type != GEN_OTHERNAME) continue;
    if (!is_principal_name(name->d.otherName)) continue;
    const ASN1_TYPE* value = name->d.otherName->value;
    out.add(value->type == V_ASN1_UTF8STRING ? value->value.utf8string : nullptr);
  }
  return out;
}

bool is_purpose(std::string_view purpose, LoginUsage wanted) {
  return purpose == kSecureShellClient || purpose == kAnyPurpose ||
         (wanted == LoginUsage::client && purpose == kClientAuth);
}

}  // namespace

Result<void> check_login_usage(const Certificate& leaf, LoginUsage wanted) {
  const std::string subject = '"' + leaf.subject_text() + '"';
  // RFC 6187 section 2.2.1: "If the KeyUsage extension is present [...] then the digitalSignature bit MUST be
  // set."
  if (const auto usage = leaf.key_usage(); usage && (*usage & KU_DIGITAL_SIGNATURE) == 0) {
    return fail(ErrorCode::certificate_invalid,
                fmt::format("the certificate of {} is not for signatures", subject),
                "keyUsage with digitalSignature, or none");
  }
  // RFC 6187 section 2.2.2: "if the ExtendedKeyUsage extension is present, then the certificate MUST be used
  // only for one of the purposes indicated."
  const auto purposes = leaf.extended_key_usage();
  if (!purposes || wanted == LoginUsage::any) return {};
  const bool good = std::any_of(purposes->begin(), purposes->end(),
                                [wanted](const std::string& one) { return is_purpose(one, wanted); });
  if (good) return {};
  return fail(ErrorCode::certificate_invalid,
              fmt::format("the certificate of {} is for other purposes than SSH logins: {}", subject,
                          fmt::join(*purposes, " ")),
              wanted == LoginUsage::client
                  ? "extendedKeyUsage with secureShellClient (1.3.6.1.5.5.7.3.21) or clientAuth, or none"
                  : "extendedKeyUsage with secureShellClient (1.3.6.1.5.5.7.3.21), or none",
              "Have the CA issue it for that; or `extended_key_usage: client`, or `any`, under `ssh`.");
}

std::string_view to_string(LoginName field) {
  constexpr std::array<std::string_view, 4> kNames{"subject-commonname", "subject-serialnumber", "san-email",
                                                   "san-upn"};
  return kNames[static_cast<std::size_t>(field)];
}

Result<std::vector<std::string>> login_names(const Certificate& leaf, LoginName field,
                                             const std::string& trustpoint) {
  const bool of_the_subject =
      field == LoginName::subject_common_name || field == LoginName::subject_serial_number;
  const int nid = field == LoginName::subject_common_name ? NID_commonName : NID_serialNumber;
  Values values = of_the_subject ? of_subject(leaf, nid) : of_alternative_names(leaf, field);
  std::string why;
  if (values.unreadable) {
    why = "what it has there is not graphic ASCII";
  } else if (of_the_subject && values.texts.size() > 1) {
    why = "its subject has several";
  } else if (values.texts.empty()) {
    why = "it has none";
  }
  if (why.empty()) return std::move(values.texts);
  return fail(
      ErrorCode::identity_mismatch,
      fmt::format("Could not find username field configured for certificate in trustpoint {} ({}): {}",
                  printable(trustpoint), to_string(field), why),
      fmt::format("one {} in the certificate of \"{}\"", to_string(field), leaf.subject_text()),
      "Name another field as `username` under `ssh`, or have the CA issue the certificate with it.");
}

}  // namespace oakgate::pki
