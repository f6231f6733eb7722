// Any bytes as a certificate file or PKCS#7: refused, or every field readable and every bound kept.
#include "pki/certificate.h"
#include "pki/login.h"
#include "pki/path.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate::pki;
  const oakgate::ByteView bytes(data, size);
  const auto bundle = parse_bundle(bytes);
  static_cast<void>(parse_pkcs7(bytes));
  if (!bundle) return 0;
  if (bundle->certificates.size() > kMaxBundleCertificates) __builtin_trap();
  for (const Certificate& certificate : bundle->certificates) {
    if (certificate.der().size() > kMaxCertificateBytes) __builtin_trap();
    // What was read once is read again, and is the same.
    const auto again = Certificate::parse(certificate.der());
    if (!again || again->names() != certificate.names()) __builtin_trap();
    for (const std::string& text : {certificate.subject_text(), certificate.issuer_text()}) {
      for (const char c : text) {
        if (c < 0x20 || c == 0x7f) __builtin_trap();  // also what is not ASCII: char is signed
      }
    }
    static_cast<void>(certificate.crl_distribution_points());
    static_cast<void>(certificate.ocsp_urls());
    static_cast<void>(certificate.key_info());
    static_cast<void>(certificate.signature_digest());
    static_cast<void>(certificate.self_signed());
    static_cast<void>(check_usage(certificate, oakgate::ExtendedKeyUsage::ike));
    static_cast<void>(check_login_usage(certificate, oakgate::LoginUsage::ssh));
    using oakgate::LoginName;
    for (const LoginName field : {LoginName::subject_common_name, LoginName::subject_serial_number,
                                  LoginName::san_email, LoginName::san_upn}) {
      const auto names = login_names(certificate, field, "corp");
      if (names && names->empty()) __builtin_trap();
    }
    static_cast<void>(build_path(certificate, {bundle->certificates, {}, {}}, certificate.not_before()));
  }
  if (!bundle->certificates.empty())
    static_cast<void>(order_chain(bundle->certificates[0], bundle->certificates));
  return 0;
}
