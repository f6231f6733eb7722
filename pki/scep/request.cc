#include "pki/scep/request.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>

#include "ike/crypto/distinguished_name.h"
#include "pki/scep/cms.h"

namespace oakgate::pki::scep {

namespace {

using crypto::openssl_failure;

using X509Request = crypto::Owned<X509_REQ, X509_REQ_free>;
using GeneralNames = crypto::Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using BitString = crypto::Owned<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using Integer = crypto::Owned<ASN1_INTEGER, ASN1_INTEGER_free>;
inline void free_extensions(STACK_OF(X509_EXTENSION) * list) {
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
using Extensions = crypto::Owned<STACK_OF(X509_EXTENSION), free_extensions>;

constexpr std::chrono::hours kSignerEarlier{24};  // clocks differ
constexpr std::chrono::hours kSignerLife{24 * 365};

tl::unexpected<Error> bad_subject(std::string text, std::string expected) {
  crypto::drop_openssl_errors();
  return fail(ErrorCode::configuration, std::move(text), std::move(expected),
              "Give the certificate's subject anew: `oakgate pki enroll --help`.");
}

bool graphic(const std::string& text, std::size_t max) {
  return text.size() <= max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

X509Name parse_name(const Bytes& der) {
  const unsigned char* cursor = der.data();
  return X509Name(d2i_X509_NAME(nullptr, &cursor, static_cast<long>(der.size())));
}

const unsigned char* raw(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool add_entry(X509_NAME* name, int nid, int type, const std::string& value) {
  return value.empty() ||
         X509_NAME_add_entry_by_NID(name, nid, type, raw(value), static_cast<int>(value.size()), -1, 0) == 1;
}

// ---- Extensions ----------------------------------------------------------------------------------------

bool add_extension(STACK_OF(X509_EXTENSION) * list, int nid, void* value, bool critical) {
  return X509V3_add1_i2d(&list, nid, value, critical ? 1 : 0, X509V3_ADD_APPEND) == 1;
}

bool push_name(GENERAL_NAMES* names, int kind, ASN1_STRING* value) {
  GENERAL_NAME* name = value == nullptr ? nullptr : GENERAL_NAME_new();
  if (name == nullptr) {
    ASN1_STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name, kind, value);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

ASN1_STRING* asn1_string(int type, ByteView value) {
  ASN1_STRING* string = ASN1_STRING_type_new(type);
  if (string != nullptr && ASN1_STRING_set(string, value.data(), static_cast<int>(value.size())) == 1) {
    return string;
  }
  ASN1_STRING_free(string);
  return nullptr;
}

bool add_alternative_names(STACK_OF(X509_EXTENSION) * list, const RequestContent& content) {
  if (content.host_names.empty() && content.addresses.empty()) return true;
  const GeneralNames names(GENERAL_NAMES_new());
  bool good = names != nullptr;
  for (const std::string& host : content.host_names) {
    good = good && push_name(names.get(), GEN_DNS, asn1_string(V_ASN1_IA5STRING, as_bytes(host)));
  }
  for (const IpAddress& address : content.addresses) {
    good = good && push_name(names.get(), GEN_IPADD, asn1_string(V_ASN1_OCTET_STRING, address.bytes()));
  }
  return good && add_extension(list, NID_subject_alt_name, names.get(), false);
}

// RFC 5280 section 4.2.1.3: bit 0 digitalSignature, bit 2 keyEncipherment.
bool add_key_usage(STACK_OF(X509_EXTENSION) * list, KeyUsage usage) {
  const BitString bits(ASN1_BIT_STRING_new());
  bool good = bits != nullptr;
  if (usage != KeyUsage::encryption) good = good && ASN1_BIT_STRING_set_bit(bits.get(), 0, 1) == 1;
  if (usage != KeyUsage::signature) good = good && ASN1_BIT_STRING_set_bit(bits.get(), 2, 1) == 1;
  return good && add_extension(list, NID_key_usage, bits.get(), true);
}

bool add_extension_request(X509_REQ* request, const RequestContent& content) {
  const Extensions list(sk_X509_EXTENSION_new_null());
  return list != nullptr && add_key_usage(list.get(), content.usage) &&
         add_alternative_names(list.get(), content) && X509_REQ_add_extensions(request, list.get()) == 1;
}

// PKCS #9: challengePassword is a DirectoryString, PrintableString if it can be one.
bool add_challenge(X509_REQ* request, const SecretBytes& challenge) {
  if (challenge.empty()) return true;
  const ByteView value = challenge.view();
  const int printable = ASN1_PRINTABLE_type(value.data(), static_cast<int>(value.size()));
  const int type = printable == V_ASN1_PRINTABLESTRING ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING;
  return X509_REQ_add1_attr_by_NID(request, NID_pkcs9_challengePassword, type, value.data(),
                                   static_cast<int>(value.size())) == 1;
}

crypto::Digest fetch_digest(MessageDigest digest) {
  return crypto::Digest(EVP_MD_fetch(nullptr, openssl_name(digest), nullptr));
}

// ---- DER by hand: two sequences of parts that are DER already ------------------------------------------

Bytes der_sequence(std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  const int total = ASN1_object_size(1, static_cast<int>(size), V_ASN1_SEQUENCE);
  if (total < 0) return {};
  Bytes out(static_cast<std::size_t>(total));
  unsigned char* cursor = out.data();
  ASN1_put_object(&cursor, 1, static_cast<int>(size), V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
  for (const ByteView part : parts) cursor = std::copy(part.begin(), part.end(), cursor);
  return out;
}

// ---- The two layers of a pkiMessage --------------------------------------------------------------------

// EnvelopedData for one recipient, in DER.
Result<Bytes> envelop(ByteView content, const Certificate& recipient, ContentCipher cipher) {
  const auto library = library_for(cipher);
  if (!library) return fail(library.error());
  const crypto::Cipher algorithm(EVP_CIPHER_fetch(*library, openssl_name(cipher), nullptr));
  const CertificateList recipients(sk_X509_new_null());
  const MemoryBio in = memory_bio(content);
  if (algorithm == nullptr || recipients == nullptr || in == nullptr ||
      sk_X509_push(recipients.get(), recipient.native()) <= 0) {
    return openssl_failure("prepare an envelope");
  }
  const CmsMessage message(
      CMS_encrypt_ex(recipients.get(), in.get(), algorithm.get(), CMS_BINARY, *library, nullptr));
  if (message == nullptr) return openssl_failure("encrypt for the certification authority");
  Bytes der = encode(message.get(), i2d_CMS_ContentInfo);
  if (der.empty()) return openssl_failure("encode an envelope");
  return der;
}

bool add_attribute(CMS_SignerInfo* signer, const char* oid, int type, ByteView value) {
  const Asn1Object object(OBJ_txt2obj(oid, 1));
  return object != nullptr && CMS_signed_add1_attr_by_OBJ(signer, object.get(), type, value.data(),
                                                          static_cast<int>(value.size())) == 1;
}

// RFC 8894 section 3.2.1: what every request carries.
bool add_attributes(CMS_SignerInfo* signer, const MessageHead& head) {
  const std::string type = std::to_string(static_cast<int>(head.type));
  return add_attribute(signer, kMessageTypeOid, V_ASN1_PRINTABLESTRING, as_bytes(type)) &&
         add_attribute(signer, kTransactionOid, V_ASN1_PRINTABLESTRING, as_bytes(head.transaction)) &&
         add_attribute(signer, kSenderNonceOid, V_ASN1_OCTET_STRING, head.nonce);
}

bool is_rsa(const Result<crypto::PublicKeyInfo>& info) {
  return info && info->kind == crypto::KeyKind::rsa;
}

}  // namespace

Result<Bytes> subject_name(const RequestedSubject& subject) {
  if (!graphic(subject.host_name, kMaxNameBytes)) {
    return bad_subject("the host name of the certificate cannot be used", "a name like gw-a.example.net");
  }
  if (subject.serial_number.size() > kMaxSerialNumberBytes ||
      (!subject.serial_number.empty() &&
       ASN1_PRINTABLE_type(raw(subject.serial_number), static_cast<int>(subject.serial_number.size())) !=
           V_ASN1_PRINTABLESTRING)) {
    return bad_subject("the serial number of the certificate cannot be used",
                       "at most 64 letters, digits and simple punctuation");
  }
  X509Name name;
  if (subject.distinguished_name.empty()) {
    name.reset(X509_NAME_new());
    if (!name || !add_entry(name.get(), NID_commonName, MBSTRING_UTF8, subject.host_name)) {
      return bad_subject("the host name is too long for a common name", "at most 64 characters");
    }
  } else {
    const auto der = crypto::name_from_text(subject.distinguished_name);
    if (!der) return fail(der.error());
    name = parse_name(*der);
  }
  // As IOS requests it: PKCS #9 names in the subject itself, besides subjectAltName.
  const std::string address = subject.address ? subject.address->to_string() : std::string();
  if (!name || !add_entry(name.get(), NID_serialNumber, V_ASN1_PRINTABLESTRING, subject.serial_number) ||
      !add_entry(name.get(), NID_pkcs9_unstructuredName, V_ASN1_IA5STRING, subject.host_name) ||
      !add_entry(name.get(), NID_pkcs9_unstructuredAddress, MBSTRING_ASC, address)) {
    return openssl_failure("make a subject");
  }
  if (X509_NAME_entry_count(name.get()) == 0) {
    return bad_subject("the certificate would have no subject", "--subject or --fqdn");
  }
  return encode(name.get(), i2d_X509_NAME);
}

Result<RequestContent> request_content(const RequestedSubject& subject, KeyUsage usage) {
  auto name = subject_name(subject);
  if (!name) return fail(name.error());
  RequestContent content{std::move(*name), {}, {}, usage};
  if (!subject.host_name.empty()) content.host_names.push_back(subject.host_name);
  if (subject.address) content.addresses.push_back(*subject.address);
  return content;
}

RequestContent renewal_content(const Certificate& old, KeyUsage usage) {
  AlternativeNames names = old.names();
  RequestContent content{old.subject(), std::move(names.host_names), std::move(names.addresses), usage};
  // The same name may stand in the subject and in subjectAltName.
  std::sort(content.host_names.begin(), content.host_names.end());
  content.host_names.erase(std::unique(content.host_names.begin(), content.host_names.end()),
                           content.host_names.end());
  std::sort(content.addresses.begin(), content.addresses.end());
  content.addresses.erase(std::unique(content.addresses.begin(), content.addresses.end()),
                          content.addresses.end());
  return content;
}

Result<SecretBytes> make_request(const RequestContent& content, const crypto::PrivateKey& key,
                                 MessageDigest digest, const SecretBytes& challenge) {
  if (challenge.size() > kMaxChallengeBytes) {
    return fail(ErrorCode::configuration, "the challenge password is too long",
                "at most " + std::to_string(kMaxChallengeBytes) + " bytes");
  }
  const X509Request request(X509_REQ_new());
  const X509Name subject = parse_name(content.subject);
  const crypto::Digest algorithm = fetch_digest(digest);
  if (!request || !subject || !algorithm || X509_REQ_set_version(request.get(), 0) != 1 ||
      X509_REQ_set_subject_name(request.get(), subject.get()) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.native()) != 1 || !add_challenge(request.get(), challenge) ||
      !add_extension_request(request.get(), content) ||
      X509_REQ_sign(request.get(), key.native(), algorithm.get()) <= 0) {
    return openssl_failure("make a certificate request");
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  if (size <= 0) return openssl_failure("encode a certificate request");
  SecretBytes out(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_clear_free(der, static_cast<std::size_t>(size));
  return out;
}

Result<Certificate> make_signer(const Bytes& subject, const std::string& transaction,
                                const crypto::PrivateKey& key, MessageDigest digest, WallTime now) {
  const X509Object certificate(X509_new());
  const X509Name name = parse_name(subject);
  const crypto::Digest algorithm = fetch_digest(digest);
  // RFC 5280 section 4.1.2.2: positive, at most 20 bytes.
  Bytes number = pki::digest("SHA256", as_bytes(transaction));
  if (!certificate || !name || !algorithm || number.size() < 16) return openssl_failure("make a certificate");
  number.resize(16);
  number[0] = static_cast<std::uint8_t>((number[0] & 0x3f) | 0x40);
  const crypto::BigNumber serial(BN_bin2bn(number.data(), static_cast<int>(number.size()), nullptr));
  const auto at = [](WallTime time) { return static_cast<time_t>(time.time_since_epoch().count()); };
  X509* x509 = certificate.get();
  if (!serial || X509_set_version(x509, 2) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x509)) == nullptr ||
      X509_set_subject_name(x509, name.get()) != 1 || X509_set_issuer_name(x509, name.get()) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(x509), at(now - kSignerEarlier)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(x509), at(now + kSignerLife)) == nullptr ||
      X509_set_pubkey(x509, key.native()) != 1) {
    return openssl_failure("make a certificate");
  }
  const BitString usage(ASN1_BIT_STRING_new());
  // RFC 8894 section 2.3: it signs the request, and the answer is encrypted for it.
  if (!usage || ASN1_BIT_STRING_set_bit(usage.get(), 0, 1) != 1 ||
      ASN1_BIT_STRING_set_bit(usage.get(), 2, 1) != 1 ||
      X509_add1_ext_i2d(x509, NID_key_usage, usage.get(), 1, X509V3_ADD_APPEND) != 1 ||
      X509_sign(x509, key.native(), algorithm.get()) <= 0) {
    return openssl_failure("sign a certificate");
  }
  // Through its encoding: an object that was built keeps no record of its own bytes.
  return Certificate::parse(encode(x509, i2d_X509));
}

Bytes issuer_and_subject(const Bytes& issuer, const Bytes& subject) {
  return der_sequence({issuer, subject});
}

Bytes issuer_and_serial(const Certificate& certificate) {
  const Bytes serial = encode(X509_get0_serialNumber(certificate.native()), i2d_ASN1_INTEGER);
  return der_sequence({certificate.issuer(), serial});
}

Result<Bytes> make_message(const MessageHead& head, ByteView content, const Certificate& recipient,
                           const Certificate& signer, const crypto::PrivateKey& key,
                           const Algorithms& algorithms) {
  // RFC 8894 section 3.1 has a way for other keys, by the challenge password; no old server knows it.
  if (!is_rsa(recipient.key_info()) || key.info().kind != crypto::KeyKind::rsa) {
    return fail(ErrorCode::unsupported, "SCEP encrypts both ways, which only RSA keys can",
                "an RSA key of ours, and a certification authority with one",
                "Generate an RSA key: `oakgate pki generate-key`.");
  }
  const auto envelope = envelop(content, recipient, algorithms.cipher);
  if (!envelope) return fail(envelope.error());
  constexpr unsigned kFlags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP;
  const MemoryBio in = memory_bio(*envelope);
  const CmsMessage message(CMS_sign(nullptr, nullptr, nullptr, nullptr, kFlags));
  const crypto::Digest digest = fetch_digest(algorithms.digest);
  CMS_SignerInfo* info =
      message && digest ? CMS_add1_signer(message.get(), signer.native(), key.native(), digest.get(), kFlags)
                        : nullptr;
  if (info == nullptr || !in || !add_attributes(info, head) ||
      CMS_final(message.get(), in.get(), nullptr, CMS_BINARY) != 1) {
    return openssl_failure("sign a SCEP message");
  }
  Bytes der = encode(message.get(), i2d_CMS_ContentInfo);
  if (der.empty()) return openssl_failure("encode a SCEP message");
  return der;
}

}  // namespace oakgate::pki::scep
