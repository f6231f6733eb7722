// parse_bundle and parse_pkcs7: many certificates at once, bounded in number and size before any is looked
// at.
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "pki/certificate.h"

namespace oakgate::pki {
namespace {

using crypto::drop_openssl_errors;

struct OpensslFree {
  void operator()(void* memory) const { OPENSSL_free(memory); }
};
template <typename T>
using OpensslMemory = std::unique_ptr<T, OpensslFree>;

tl::unexpected<Error> invalid(std::string text, std::string expected = {}) {
  drop_openssl_errors();
  return fail(ErrorCode::certificate_invalid, std::move(text), std::move(expected));
}

tl::unexpected<Error> too_many() {
  return invalid("more than " + std::to_string(kMaxBundleCertificates) + " certificates at once",
                 "the certificates of one chain");
}

Result<void> add(Bundle& bundle, Result<Certificate> certificate) {
  if (!certificate) return tl::unexpected(certificate.error());
  auto& all = bundle.certificates;
  if (std::find(all.begin(), all.end(), *certificate) != all.end()) return {};
  if (all.size() == kMaxBundleCertificates) return too_many();
  all.push_back(std::move(*certificate));
  return {};
}

Result<void> add_pkcs7(Bundle& bundle, ByteView der) {
  const unsigned char* cursor = der.data();
  const Pkcs7Object object(der.empty() ? nullptr
                                       : d2i_PKCS7(nullptr, &cursor, static_cast<long>(der.size())));
  if (object == nullptr) return invalid("what should be PKCS#7 is none", "the DER of PKCS#7 signedData");
  if (cursor != der.data() + der.size()) return invalid("bytes behind PKCS#7");
  if (!PKCS7_type_is_signed(object.get()) || object->d.sign == nullptr) {
    return invalid("PKCS#7 that is not signedData", "certificates in PKCS#7 signedData");
  }
  const PKCS7_SIGNED* content = object->d.sign;
  if (content->contents == nullptr || !PKCS7_type_is_data(content->contents)) {
    return invalid("PKCS#7 within PKCS#7", "certificates, and no content beside them");
  }
  if (sk_X509_num(content->cert) > static_cast<int>(kMaxBundleCertificates)) return too_many();
  for (int index = 0; index < sk_X509_num(content->cert); ++index) {
    if (auto added = add(bundle, Certificate::from_native(sk_X509_value(content->cert, index))); !added)
      return added;
  }
  for (int index = 0; index < sk_X509_CRL_num(content->crl); ++index) {
    if (bundle.crls.size() == kMaxBundleCertificates) return too_many();
    bundle.crls.push_back(encode(sk_X509_CRL_value(content->crl, index), i2d_X509_CRL));
  }
  return {};
}

Result<void> add_pem_block(Bundle& bundle, std::string_view name, ByteView der) {
  if (name == PEM_STRING_X509 || name == PEM_STRING_X509_OLD) return add(bundle, Certificate::parse(der));
  if (name == PEM_STRING_PKCS7 || name == PEM_STRING_CMS) return add_pkcs7(bundle, der);
  if (name == PEM_STRING_X509_CRL) {
    if (bundle.crls.size() == kMaxBundleCertificates) return too_many();
    bundle.crls.emplace_back(der.begin(), der.end());
  }
  return {};  // a key beside its certificate, parameters: none of our business
}

Result<Bundle> parse_pem(ByteView file) {
  Bundle bundle;
  const MemoryBio in = memory_bio(file);
  if (in == nullptr) return crypto::openssl_failure("read PEM");
  while (true) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(in.get(), &name, &header, &data, &size) != 1) break;
    const OpensslMemory<char> name_owner(name);
    const OpensslMemory<char> header_owner(header);
    const OpensslMemory<unsigned char> data_owner(data);
    auto added = add_pem_block(bundle, name, {data, static_cast<std::size_t>(size)});
    OPENSSL_cleanse(data, static_cast<std::size_t>(size));  // it may have been a key
    if (!added) return tl::unexpected(added.error());
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return invalid("PEM that is broken");
  drop_openssl_errors();
  return bundle;
}

}  // namespace

Result<Bundle> parse_pkcs7(ByteView der) {
  if (der.size() > kMaxBundleBytes) return invalid("PKCS#7 of " + std::to_string(der.size()) + " bytes");
  Bundle bundle;
  if (auto added = add_pkcs7(bundle, der); !added) return tl::unexpected(added.error());
  return bundle;
}

Result<Bundle> parse_bundle(ByteView file) {
  if (file.size() > kMaxBundleBytes) return invalid("a file of " + std::to_string(file.size()) + " bytes");
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.find("-----BEGIN ") != std::string_view::npos) return parse_pem(file);
  // ContentInfo begins with an OBJECT IDENTIFIER, a certificate with a SEQUENCE.
  const unsigned char* cursor = file.data();
  const Pkcs7Object pkcs7(file.empty() ? nullptr
                                       : d2i_PKCS7(nullptr, &cursor, static_cast<long>(file.size())));
  drop_openssl_errors();
  if (pkcs7 != nullptr) return parse_pkcs7(file);
  Bundle bundle;
  if (auto added = add(bundle, Certificate::parse(file)); !added) return tl::unexpected(added.error());
  return bundle;
}

}  // namespace oakgate::pki
