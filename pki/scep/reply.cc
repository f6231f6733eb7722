#include "pki/scep/reply.h"

#include <openssl/pkcs7.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "ike/base/printable.h"
#include "pki/scep/cms.h"

namespace oakgate::pki::scep {

namespace {

tl::unexpected<Error> malformed(std::string text,
                                std::string expected = "a CertRep, RFC 8894 section 3.3.2") {
  crypto::drop_openssl_errors();
  return fail(ErrorCode::malformed, "the certification authority's answer is no SCEP message: " + text,
              std::move(expected),
              "See that `enrollment.url` is a SCEP server's; the authority's log may say more.");
}

tl::unexpected<Error> not_ours(std::string text, std::string expected) {
  crypto::drop_openssl_errors();
  return fail(ErrorCode::enrollment_failed, "the certification authority's answer " + text,
              std::move(expected), "Ask again; if it repeats, somebody answers in the authority's place.");
}

// ---- Signed attributes ---------------------------------------------------------------------------------

struct Attributes {
  std::optional<Bytes> message_type;
  std::optional<Bytes> status;
  std::optional<Bytes> fail_info;
  std::optional<Bytes> recipient_nonce;
  std::optional<Bytes> transaction;
  std::optional<Bytes> fail_text;
};
struct AttributeRow {
  const char* oid;
  std::optional<Bytes> Attributes::*field;
};
constexpr AttributeRow kAttributes[] = {
    {kMessageTypeOid, &Attributes::message_type}, {kStatusOid, &Attributes::status},
    {kFailInfoOid, &Attributes::fail_info},       {kRecipientNonceOid, &Attributes::recipient_nonce},
    {kTransactionOid, &Attributes::transaction},  {kFailTextOid, &Attributes::fail_text},
};

// The bytes of a string value; old servers write PrintableString, UTF8String, IA5String alike.
std::optional<Bytes> string_value(X509_ATTRIBUTE* attribute) {
  if (X509_ATTRIBUTE_count(attribute) != 1) return std::nullopt;
  const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(attribute, 0);
  if (value == nullptr) return std::nullopt;
  switch (value->type) {
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_UTF8STRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_OCTET_STRING:
      break;
    default:
      return std::nullopt;
  }
  const ASN1_STRING* text = value->value.asn1_string;
  const unsigned char* data = ASN1_STRING_get0_data(text);
  return Bytes(data, data + ASN1_STRING_length(text));
}

Result<Attributes> read_attributes(CMS_SignerInfo* signer) {
  const int count = CMS_signed_get_attr_count(signer);
  if (count > kMaxSignedAttributes) return malformed("too many signed attributes");
  Attributes out;
  for (int i = 0; i < count; ++i) {
    X509_ATTRIBUTE* attribute = CMS_signed_get_attr(signer, i);
    char oid[80] = {};
    if (OBJ_obj2txt(oid, sizeof oid, X509_ATTRIBUTE_get0_object(attribute), 1) <= 0) continue;
    for (const AttributeRow& row : kAttributes) {
      if (std::string_view(oid) != row.oid) continue;
      if (out.*row.field) return malformed("a signed attribute stands in it twice");
      out.*row.field = string_value(attribute);
      if (!(out.*row.field)) return malformed("a signed attribute is not one string");
    }
  }
  return out;
}

bool is_text(const std::optional<Bytes>& value, std::string_view text) {
  return value && std::string_view(reinterpret_cast<const char*>(value->data()), value->size()) == text;
}

// ---- FAILURE -------------------------------------------------------------------------------------------

// RFC 8894 table 5.
std::string failure_reason(const Attributes& attributes) {
  static constexpr std::string_view kReasons[] = {
      "badAlg (unrecognised or unsupported algorithm)",
      "badMessageCheck (the signature of our message did not verify)",
      "badRequest (transaction not permitted or supported)",
      "badTime (our clock and the authority's differ)",
      "badCertId (no certificate matches)",
  };
  std::string out = "no reason given";
  for (std::size_t i = 0; i < std::size(kReasons); ++i) {
    if (is_text(attributes.fail_info, std::to_string(i))) out = kReasons[i];
  }
  if (attributes.fail_text && !attributes.fail_text->empty()) {
    const auto& text = *attributes.fail_text;
    out += ": " + printable({reinterpret_cast<const char*>(text.data()), text.size()}, kMaxFailText);
  }
  return out;
}

// ---- Signature -----------------------------------------------------------------------------------------

Result<CmsMessage> parse_signed(ByteView der, std::size_t max_bytes) {
  if (der.empty()) return malformed("it is empty");
  if (der.size() > max_bytes) return malformed("it has " + std::to_string(der.size()) + " bytes");
  const unsigned char* cursor = der.data();
  CmsMessage message(d2i_CMS_ContentInfo(nullptr, &cursor, static_cast<long>(der.size())));
  if (message == nullptr) return malformed("it is no CMS (PKCS#7)");
  if (cursor != der.data() + der.size()) return malformed("bytes follow the CMS (PKCS#7)");
  if (OBJ_obj2nid(CMS_get0_type(message.get())) != NID_pkcs7_signed)
    return malformed("it is not signed data");
  if (OBJ_obj2nid(CMS_get0_eContentType(message.get())) != NID_pkcs7_data) {
    return malformed("what is signed is not `data`");
  }
  return message;
}

Result<CMS_SignerInfo*> one_signer(CMS_ContentInfo* message) {
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(message);
  if (sk_CMS_SignerInfo_num(signers) != 1) return malformed("it does not have exactly one signature");
  return sk_CMS_SignerInfo_value(signers, 0);
}

std::string signer_text(CMS_SignerInfo* signer) {
  ASN1_OCTET_STRING* key_id = nullptr;
  X509_NAME* issuer = nullptr;
  ASN1_INTEGER* serial = nullptr;
  if (CMS_SignerInfo_get0_signer_id(signer, &key_id, &issuer, &serial) != 1 || serial == nullptr) {
    return "a key of another name";
  }
  return "serial number " + hex_serial(serial);
}

Result<void> verify_signature(CMS_ContentInfo* message, CMS_SignerInfo* signer, const Expected& expected) {
  const auto known = std::find_if(expected.signers.begin(), expected.signers.end(),
                                  [signer](const Certificate& certificate) {
                                    return CMS_SignerInfo_cert_cmp(signer, certificate.native()) == 0;
                                  });
  if (known == expected.signers.end()) {
    crypto::drop_openssl_errors();
    return fail(ErrorCode::signature_invalid,
                "the certification authority's answer is signed by somebody else: " + signer_text(signer),
                "the CA, or its RA, that GetCACert names and the trustpoint trusts",
                "If the authority has a new certificate: `oakgate pki authenticate`.");
  }
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  const auto accepted = accept_digest(OBJ_obj2nid(digest->algorithm), expected.allowance);
  if (!accepted) return fail(accepted.error());
  const CertificateList one(sk_X509_new_null());
  if (one == nullptr || sk_X509_push(one.get(), known->native()) <= 0) {
    return crypto::openssl_failure("prepare a signature's check");
  }
  // FAILURE and PENDING have no content: what is signed then are the attributes and an empty content.
  ASN1_OCTET_STRING** content = CMS_get0_content(message);
  const bool empty = content == nullptr || *content == nullptr;
  const MemoryBio nothing(BIO_new_mem_buf("", 0));
  const MemoryBio out(BIO_new(BIO_s_mem()));
  constexpr unsigned kFlags = CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY;
  if (nothing == nullptr || out == nullptr) return crypto::openssl_failure("prepare a signature's check");
  if (CMS_verify(message, one.get(), nullptr, empty ? nothing.get() : nullptr, out.get(), kFlags) == 1) {
    return {};
  }
  crypto::drop_openssl_errors();
  return fail(ErrorCode::signature_invalid, "the signature of the certification authority's answer is wrong",
              "one that verifies with the key of " + known->subject_text(),
              "Ask again; if it repeats, somebody changes the answer on its way.");
}

// ---- Envelope ------------------------------------------------------------------------------------------

// The content-encryption algorithm's NID. OpenSSL's CMS does not tell it; PKCS#7 of version 0, which is what
// SCEP's key transport makes (RFC 5652 section 6.1), reads the same bytes.
int envelope_cipher(ByteView der) {
  const unsigned char* cursor = der.data();
  const Pkcs7Object object(d2i_PKCS7(nullptr, &cursor, static_cast<long>(der.size())));
  crypto::drop_openssl_errors();
  if (object == nullptr || !PKCS7_type_is_enveloped(object.get()) || object->d.enveloped == nullptr ||
      object->d.enveloped->enc_data == nullptr) {
    return NID_undef;
  }
  return OBJ_obj2nid(object->d.enveloped->enc_data->algorithm->algorithm);
}

bool is_for(CMS_ContentInfo* message, const Certificate& recipient) {
  STACK_OF(CMS_RecipientInfo)* all = CMS_get0_RecipientInfos(message);
  for (int i = 0; i < std::min(sk_CMS_RecipientInfo_num(all), kMaxMessageCertificates); ++i) {
    CMS_RecipientInfo* info = sk_CMS_RecipientInfo_value(all, i);
    if (CMS_RecipientInfo_type(info) == CMS_RECIPINFO_TRANS &&
        CMS_RecipientInfo_ktri_cert_cmp(info, recipient.native()) == 0) {
      return true;
    }
  }
  return false;
}

Result<Bytes> open_envelope(ByteView der, const Expected& expected) {
  const auto cipher = accept_cipher(envelope_cipher(der), expected.allowance);
  if (!cipher) return fail(cipher.error());
  const auto library = library_for(*cipher);
  if (!library) return fail(library.error());
  CMS_ContentInfo* raw = CMS_ContentInfo_new_ex(*library, nullptr);
  const unsigned char* cursor = der.data();
  // d2i keeps the library context of the object it is given, and frees it if it fails.
  if (raw == nullptr || d2i_CMS_ContentInfo(&raw, &cursor, static_cast<long>(der.size())) == nullptr) {
    return malformed("what it carries is not enveloped data");
  }
  const CmsMessage message(raw);
  if (cursor != der.data() + der.size()) return malformed("bytes follow the enveloped data");
  if (!is_for(message.get(), expected.recipient)) {
    return not_ours("is encrypted for somebody else",
                    "our certificate as recipient, serial number " + expected.recipient.serial());
  }
  const MemoryBio out(BIO_new(BIO_s_mem()));
  if (out == nullptr) return crypto::openssl_failure("open an envelope");
  if (CMS_decrypt(message.get(), expected.key.native(), expected.recipient.native(), nullptr, out.get(),
                  CMS_BINARY) != 1) {
    return not_ours("does not open with our key", "an envelope for the key that made the request");
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return Bytes(text, text + (size > 0 ? size : 0));
}

Result<void> check_request(const Attributes& attributes, const Expected& expected) {
  if (!is_text(attributes.message_type, "3")) return malformed("its messageType is not CertRep");
  if (!is_text(attributes.transaction, expected.transaction)) {
    return not_ours("is of another transaction", "transactionID " + expected.transaction);
  }
  // RFC 8894 section 3.2.1.5: "If the nonce does not match, then the message MUST be rejected."
  if (!attributes.recipient_nonce ||
      !std::equal(attributes.recipient_nonce->begin(), attributes.recipient_nonce->end(),
                  expected.nonce.begin(), expected.nonce.end())) {
    return not_ours("belongs to another request: its recipientNonce is not ours", "the nonce we sent");
  }
  return {};
}

}  // namespace

Result<Reply> read_reply(ByteView der, const Expected& expected) {
  const auto message = parse_signed(der, expected.max_bytes);
  if (!message) return fail(message.error());
  const auto signer = one_signer(message->get());
  if (!signer) return fail(signer.error());
  const auto verified = verify_signature(message->get(), *signer, expected);
  if (!verified) return fail(verified.error());
  const auto attributes = read_attributes(*signer);
  if (!attributes) return fail(attributes.error());
  if (const auto ours = check_request(*attributes, expected); !ours) return fail(ours.error());
  Reply reply;
  if (is_text(attributes->status, "2")) {
    reply.reason = failure_reason(*attributes);
    return reply;
  }
  if (is_text(attributes->status, "3")) {
    reply.status = Status::pending;
    return reply;
  }
  if (!is_text(attributes->status, "0")) return malformed("its pkiStatus is none that there is");
  reply.status = Status::success;
  ASN1_OCTET_STRING** content = CMS_get0_content(message->get());
  if (content == nullptr || *content == nullptr) return malformed("it says success and carries nothing");
  auto opened = open_envelope(
      {ASN1_STRING_get0_data(*content), static_cast<std::size_t>(ASN1_STRING_length(*content))}, expected);
  if (!opened) return fail(opened.error());
  reply.content = std::move(*opened);
  return reply;
}

Result<std::vector<Certificate>> read_granted(ByteView content, const Bytes& public_key,
                                              const Authority& authority, WallTime now) {
  const auto bundle = parse_pkcs7(content);
  if (!bundle) return fail(bundle.error());
  const auto& all = bundle->certificates;
  if (all.size() > static_cast<std::size_t>(kMaxMessageCertificates)) {
    return malformed("it holds " + std::to_string(all.size()) + " certificates");
  }
  if (all.empty()) return not_ours("grants a certificate and holds none", "the certificate");
  const auto own = std::find_if(all.begin(), all.end(), [&](const Certificate& certificate) {
    return certificate.public_key() == public_key;
  });
  if (own == all.end()) {
    return not_ours("grants a certificate of another key: " + all.front().subject_text(),
                    "a certificate of the public key in our request");
  }
  std::vector<Certificate> pool = authority.pool;
  pool.insert(pool.end(), all.begin(), all.end());
  auto path = issued_by(*own, authority.anchors, pool, now);
  if (!path) {
    Error error = path.error();
    if (error.code != ErrorCode::certificate_invalid) return fail(std::move(error));
    error.text = "the certificate granted does not chain to the trustpoint: " + own->subject_text() +
                 ", issued by " + own->issuer_text() + ": " + error.text;
    return fail(std::move(error));
  }
  // A file of ours holds what the peer may miss: not what the operator trusts anyway, and no root.
  std::erase_if(*path, [&](const Certificate& member) {
    return member.self_issued() ||
           std::find(authority.anchors.begin(), authority.anchors.end(), member) != authority.anchors.end();
  });
  return path;
}

Result<Bytes> read_crl(ByteView content) {
  auto bundle = parse_pkcs7(content);
  if (!bundle) return fail(bundle.error());
  if (bundle->crls.size() != 1) {
    return fail(ErrorCode::crl_unavailable,
                "the certification authority's answer holds " + std::to_string(bundle->crls.size()) + " CRLs",
                "one");
  }
  return std::move(bundle->crls.front());
}

}  // namespace oakgate::pki::scep
