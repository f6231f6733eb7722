#include "pki/certificate.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <algorithm>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::pki {
namespace {

using crypto::drop_openssl_errors;

tl::unexpected<Error> invalid(std::string text, std::string expected = {}, std::string remedy = {}) {
  drop_openssl_errors();
  return fail(ErrorCode::certificate_invalid, std::move(text), std::move(expected), std::move(remedy));
}

ByteView bytes_of(const ASN1_STRING* text) {
  return {ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// Printable ASCII without blanks, as host names, mail addresses and URLs are; nothing otherwise.
std::optional<std::string> graphic_text(const ASN1_STRING* text) {
  const ByteView raw = bytes_of(text);
  if (raw.empty() ||
      std::any_of(raw.begin(), raw.end(), [](std::uint8_t c) { return c <= 0x20 || c >= 0x7f; })) {
    return std::nullopt;
  }
  return std::string(raw.begin(), raw.end());
}

std::string object_text(const ASN1_OBJECT* object) {
  char text[128] = {};
  const int size = OBJ_obj2txt(text, sizeof text, object, 1);
  return size > 0 && static_cast<std::size_t>(size) < sizeof text ? std::string(text) : std::string();
}

std::string name_or_nothing(const Bytes& der) {
  return crypto::name_text(der).value_or(std::string());
}

using GeneralNames = crypto::Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using CrlPoints = crypto::Owned<CRL_DIST_POINTS, CRL_DIST_POINTS_free>;
using InfoAccess = crypto::Owned<AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free>;
using Purposes = crypto::Owned<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;

template <typename Owner>
Owner extension(const X509* certificate, int nid) {
  Owner out(static_cast<typename Owner::pointer>(X509_get_ext_d2i(certificate, nid, nullptr, nullptr)));
  if (out == nullptr) drop_openssl_errors();
  return out;
}

void add_general_name(const GENERAL_NAME* name, AlternativeNames& out) {
  switch (name->type) {
    case GEN_IPADD:
      if (const auto address = IpAddress::from_bytes(bytes_of(name->d.iPAddress)))
        out.addresses.push_back(*address);
      break;
    case GEN_DNS:
      if (auto text = graphic_text(name->d.dNSName)) out.host_names.push_back(std::move(*text));
      break;
    case GEN_EMAIL:
      if (auto text = graphic_text(name->d.rfc822Name)) out.user_names.push_back(std::move(*text));
      break;
    case GEN_DIRNAME:
      out.directory_names.push_back(encode(name->d.directoryName, i2d_X509_NAME));
      break;
    default:
      break;  // URIs, other names: nothing that a peer claims to be
  }
}

// What IOS writes into the subject itself: PKCS #9's unstructuredName (its FQDN) and unstructuredAddress.
void add_subject_names(const X509* certificate, AlternativeNames& out) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int index = 0; index < X509_NAME_entry_count(subject); ++index) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, index);
    const int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid != NID_pkcs9_unstructuredName && nid != NID_pkcs9_unstructuredAddress) continue;
    auto text = graphic_text(X509_NAME_ENTRY_get_data(entry));
    if (!text) continue;
    if (nid == NID_pkcs9_unstructuredName) {
      out.host_names.push_back(std::move(*text));
    } else if (const auto address = IpAddress::parse(*text)) {
      out.addresses.push_back(*address);
    }
  }
}

void add_point(const DIST_POINT_NAME* point, DistributionPoints& out) {
  if (point->type == 1) {  // relative to the issuer: DIST_POINT_set_dpname made it whole
    if (point->dpname != nullptr) out.directory_names.push_back(encode(point->dpname, i2d_X509_NAME));
    return;
  }
  for (int index = 0; index < sk_GENERAL_NAME_num(point->name.fullname); ++index) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(point->name.fullname, index);
    if (name->type == GEN_URI) {
      if (auto url = graphic_text(name->d.uniformResourceIdentifier)) out.urls.push_back(std::move(*url));
    } else if (name->type == GEN_DIRNAME) {
      out.directory_names.push_back(encode(name->d.directoryName, i2d_X509_NAME));
    }
  }
}

}  // namespace

Result<Certificate> Certificate::parse(ByteView der) {
  if (der.size() > kMaxCertificateBytes) {
    return invalid("a certificate of " + std::to_string(der.size()) + " bytes", "at most 65536 bytes");
  }
  const unsigned char* cursor = der.data();
  const X509Object object(der.empty() ? nullptr : d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  if (object == nullptr)
    return invalid("what should be a certificate is none", "the DER of an X.509 certificate");
  if (cursor != der.data() + der.size())
    return invalid("bytes behind a certificate", "one certificate in DER");
  return from_native(object.get());
}

Result<Certificate> Certificate::from_native(X509* certificate) {
  Certificate out;
  X509_up_ref(certificate);
  out.x509_.reset(certificate);
  out.der_ = encode(certificate, i2d_X509);
  if (out.der_.empty() || out.der_.size() > kMaxCertificateBytes) {
    return invalid("a certificate of " + std::to_string(out.der_.size()) + " bytes", "at most 65536 bytes");
  }
  const auto begin = wall_time(X509_get0_notBefore(certificate));
  const auto end = wall_time(X509_get0_notAfter(certificate));
  if (!begin || !end) return invalid("a certificate whose dates are none: " + out.subject_text());
  out.not_before_ = *begin;
  out.not_after_ = *end;
  // Has OpenSSL parse all extensions now: later, other threads read what it keeps of them. What is wrong with
  // them is for the chain's check to say.
  X509_check_purpose(certificate, -1, 0);
  drop_openssl_errors();
  return out;
}

Certificate::Certificate(const Certificate& other)
    : der_(other.der_), not_before_(other.not_before_), not_after_(other.not_after_) {
  if (other.x509_ != nullptr) X509_up_ref(other.x509_.get());
  x509_.reset(other.x509_.get());
}

Certificate& Certificate::operator=(const Certificate& other) {
  if (this != &other) *this = Certificate(other);
  return *this;
}

Bytes Certificate::subject() const {
  return encode(X509_get_subject_name(x509_.get()), i2d_X509_NAME);
}
Bytes Certificate::issuer() const {
  return encode(X509_get_issuer_name(x509_.get()), i2d_X509_NAME);
}
std::string Certificate::subject_text() const {
  return name_or_nothing(subject());
}
std::string Certificate::issuer_text() const {
  return name_or_nothing(issuer());
}
std::string Certificate::serial() const {
  return hex_serial(X509_get0_serialNumber(x509_.get()));
}

bool Certificate::self_issued() const {
  return X509_NAME_cmp(X509_get_subject_name(x509_.get()), X509_get_issuer_name(x509_.get())) == 0;
}

bool Certificate::self_signed() const {
  if (!self_issued()) return false;
  const bool good = X509_verify(x509_.get(), X509_get0_pubkey(x509_.get())) == 1;
  drop_openssl_errors();
  return good;
}

bool Certificate::is_ca() const {
  return X509_check_ca(x509_.get()) != 0;
}

Bytes Certificate::public_key() const {
  return encode(X509_get_X509_PUBKEY(x509_.get()), i2d_X509_PUBKEY);
}
Result<crypto::PublicKeyInfo> Certificate::key_info() const {
  return crypto::public_key_info(public_key());
}

std::string Certificate::signature_digest() const {
  return digest_of_signature(X509_get0_tbs_sigalg(x509_.get()));
}

std::optional<KeyUsageBits> Certificate::key_usage() const {
  const std::uint32_t bits = X509_get_key_usage(x509_.get());
  return bits == UINT32_MAX ? std::nullopt : std::optional(bits);
}

std::optional<std::vector<std::string>> Certificate::extended_key_usage() const {
  if (X509_get_ext_by_NID(x509_.get(), NID_ext_key_usage, -1) < 0) return std::nullopt;
  std::vector<std::string> out;
  const auto purposes = extension<Purposes>(x509_.get(), NID_ext_key_usage);
  const int count = sk_ASN1_OBJECT_num(purposes.get());
  out.reserve(static_cast<std::size_t>(std::max(count, 0)));
  for (int index = 0; index < count; ++index) {
    out.push_back(object_text(sk_ASN1_OBJECT_value(purposes.get(), index)));
  }
  return out;
}

AlternativeNames Certificate::names() const {
  AlternativeNames out;
  const auto names = extension<GeneralNames>(x509_.get(), NID_subject_alt_name);
  for (int index = 0; index < sk_GENERAL_NAME_num(names.get()); ++index) {
    add_general_name(sk_GENERAL_NAME_value(names.get(), index), out);
  }
  add_subject_names(x509_.get(), out);
  return out;
}

DistributionPoints Certificate::crl_distribution_points() const {
  DistributionPoints out;
  const auto points = extension<CrlPoints>(x509_.get(), NID_crl_distribution_points);
  for (int index = 0; index < sk_DIST_POINT_num(points.get()); ++index) {
    DIST_POINT* point = sk_DIST_POINT_value(points.get(), index);
    if (point->distpoint == nullptr) continue;
    DIST_POINT_set_dpname(point->distpoint, X509_get_issuer_name(x509_.get()));
    add_point(point->distpoint, out);
  }
  drop_openssl_errors();
  return out;
}

std::vector<std::string> Certificate::ocsp_urls() const {
  std::vector<std::string> out;
  const auto access = extension<InfoAccess>(x509_.get(), NID_info_access);
  for (int index = 0; index < sk_ACCESS_DESCRIPTION_num(access.get()); ++index) {
    const ACCESS_DESCRIPTION* entry = sk_ACCESS_DESCRIPTION_value(access.get(), index);
    if (OBJ_obj2nid(entry->method) != NID_ad_OCSP || entry->location->type != GEN_URI) continue;
    if (auto url = graphic_text(entry->location->d.uniformResourceIdentifier)) out.push_back(std::move(*url));
  }
  return out;
}

std::string Certificate::fingerprint(const char* digest_name) const {
  std::string out = to_hex(digest(digest_name, der_));
  for (char& c : out) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::string Certificate::to_pem() const {
  const MemoryBio out(BIO_new(BIO_s_mem()));
  if (out == nullptr || PEM_write_bio_X509(out.get(), x509_.get()) != 1) {
    drop_openssl_errors();
    return {};
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
}

std::vector<Certificate> order_chain(const Certificate& leaf, const std::vector<Certificate>& pool) {
  std::vector<Certificate> out{leaf};
  while (out.size() <= pool.size()) {
    const auto issuer = std::find_if(pool.begin(), pool.end(), [&out](const Certificate& candidate) {
      const bool known = std::find(out.begin(), out.end(), candidate) != out.end();
      const bool right = X509_check_issued(candidate.native(), out.back().native()) == X509_V_OK;
      return !known && right && !candidate.self_signed();
    });
    drop_openssl_errors();
    if (issuer == pool.end()) break;
    out.push_back(*issuer);
  }
  return out;
}

}  // namespace oakgate::pki
