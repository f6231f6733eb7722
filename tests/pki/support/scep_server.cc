#include "tests/pki/support/scep_server.h"

#include <openssl/cms.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "pki/scep/cms.h"

namespace oakgate::test {

namespace {

using pki::MemoryBio;
using pki::X509Object;
using pki::scep::CertificateList;
using pki::scep::CmsMessage;
using X509Request = crypto::Owned<X509_REQ, X509_REQ_free>;

void require(bool good, const char* what) {
  if (good) return;
  crypto::drop_openssl_errors();
  throw std::runtime_error(std::string("the tests' SCEP server could not ") + what);
}

X509Object parse_certificate(const Bytes& der) {
  const unsigned char* cursor = der.data();
  X509Object out(d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  require(out != nullptr, "read a certificate");
  return out;
}

CmsMessage parse_cms(ByteView der) {
  const unsigned char* cursor = der.data();
  CmsMessage out(d2i_CMS_ContentInfo(nullptr, &cursor, static_cast<long>(der.size())));
  require(out != nullptr, "read CMS");
  return out;
}

Bytes drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return Bytes(data, data + size);
}

// Its own context with the legacy provider, as a server that speaks DES has.
OSSL_LIB_CTX* server_library() {
  static OSSL_LIB_CTX* const library = [] {
    OSSL_LIB_CTX* made = OSSL_LIB_CTX_new();
    require(OSSL_PROVIDER_load(made, "default") != nullptr && OSSL_PROVIDER_load(made, "legacy") != nullptr,
            "load the legacy provider");
    return made;
  }();
  return library;
}

Bytes envelop(const CertRep& rep) {
  const X509Object recipient = parse_certificate(rep.recipient);
  const crypto::Cipher cipher(EVP_CIPHER_fetch(server_library(), rep.cipher.c_str(), nullptr));
  const CertificateList list(sk_X509_new_null());
  sk_X509_push(list.get(), recipient.get());
  const MemoryBio in = pki::memory_bio(rep.content);
  const CmsMessage message(
      CMS_encrypt_ex(list.get(), in.get(), cipher.get(), CMS_BINARY, server_library(), nullptr));
  require(message != nullptr, "envelop");
  return pki::encode(message.get(), i2d_CMS_ContentInfo);
}

void add_attribute(CMS_SignerInfo* signer, const char* oid, int type, ByteView value) {
  const pki::scep::Asn1Object object(OBJ_txt2obj(oid, 1));
  require(CMS_signed_add1_attr_by_OBJ(signer, object.get(), type, value.data(),
                                      static_cast<int>(value.size())) == 1,
          "add an attribute");
}

Bytes attribute(CMS_SignerInfo* signer, const char* oid) {
  const pki::scep::Asn1Object object(OBJ_txt2obj(oid, 1));
  const int at = CMS_signed_get_attr_by_OBJ(signer, object.get(), -1);
  if (at < 0) return {};
  const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(CMS_signed_get_attr(signer, at), 0);
  const ASN1_STRING* text = value->value.asn1_string;
  return Bytes(ASN1_STRING_get0_data(text), ASN1_STRING_get0_data(text) + ASN1_STRING_length(text));
}

std::string text_of(const Bytes& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
    i += 2;
  }
  return out;
}

Bytes from_base64(const std::string& text) {
  Bytes out(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  require(size >= 0, "read base64");
  const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string parameter(const std::string& url, const std::string& name) {
  const std::size_t at = url.find(name + "=");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 1;
  return unescape(url.substr(begin, url.find('&', begin) - begin));
}

std::string challenge_of(X509_REQ* request) {
  const int at = X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1);
  if (at < 0) return {};
  const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(request, at), 0);
  const ASN1_STRING* text = value->value.asn1_string;
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
}

std::string envelope_cipher(const Bytes& der) {
  const unsigned char* cursor = der.data();
  const pki::Pkcs7Object p7(d2i_PKCS7(nullptr, &cursor, static_cast<long>(der.size())));
  require(p7 != nullptr && PKCS7_type_is_enveloped(p7.get()), "read an envelope");
  return OBJ_nid2sn(OBJ_obj2nid(p7->d.enveloped->enc_data->algorithm->algorithm));
}

}  // namespace

Bytes make_cert_rep(const CertRep& rep) {
  const Bytes envelope = rep.content.empty() ? rep.envelope : envelop(rep);
  const X509Object signer = parse_certificate(rep.signer);
  constexpr unsigned kFlags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP;
  const unsigned detached = envelope.empty() ? CMS_DETACHED : 0;
  const CmsMessage message(CMS_sign(nullptr, nullptr, nullptr, nullptr, kFlags | detached));
  const crypto::Digest digest(EVP_MD_fetch(nullptr, rep.digest.c_str(), nullptr));
  CMS_SignerInfo* info = CMS_add1_signer(message.get(), signer.get(), rep.signer_key, digest.get(), kFlags);
  require(info != nullptr, "sign");
  const auto add_text = [&](const char* oid, const std::string& text) {
    if (!text.empty()) add_attribute(info, oid, V_ASN1_PRINTABLESTRING, as_bytes(text));
  };
  add_text(pki::scep::kMessageTypeOid, rep.message_type);
  add_text(pki::scep::kStatusOid, rep.status);
  add_text(pki::scep::kFailInfoOid, rep.fail_info);
  add_text(pki::scep::kTransactionOid, rep.transaction);
  if (rep.transaction_twice) {
    // One attribute with two values is what OpenSSL makes of it.
    add_text(pki::scep::kTransactionOid, rep.transaction);
  }
  if (!rep.fail_text.empty()) {
    add_attribute(info, pki::scep::kFailTextOid, V_ASN1_UTF8STRING, as_bytes(rep.fail_text));
  }
  if (!rep.recipient_nonce.empty()) {
    add_attribute(info, pki::scep::kRecipientNonceOid, V_ASN1_OCTET_STRING, rep.recipient_nonce);
  }
  const MemoryBio in(envelope.empty() ? BIO_new_mem_buf("", 0) : pki::memory_bio(envelope).release());
  require(CMS_final(message.get(), in.get(), nullptr, CMS_BINARY | detached) == 1, "finish a message");
  return pki::encode(message.get(), i2d_CMS_ContentInfo);
}

Result<Fetched> ScepServer::fetch(const FetchRequest& request) const {
  const std::lock_guard lock(mutex_);
  urls.push_back(request.url);
  if (!reachable) return fail(ErrorCode::fetch_failed, "ca.example does not answer");
  const std::string operation_name = parameter(request.url, "operation");
  if (operation_name == "GetCACaps") {
    if (!knows_capabilities) return fail(ErrorCode::fetch_failed, "ca.example answers 404");
    return Fetched{to_bytes(as_bytes(capabilities)), "text/plain"};
  }
  if (operation_name == "GetCACert") {
    if (more_certificates.empty() && ra_certificate.empty()) {
      return Fetched{ca_.certificate(), "application/x-x509-ca-cert"};
    }
    std::vector<Bytes> all = more_certificates;
    if (!ra_certificate.empty()) all.push_back(ra_certificate);
    all.push_back(ca_.certificate());
    return Fetched{pkcs7(all), "application/x-x509-ca-ra-cert"};
  }
  return Fetched{operation(request), "application/x-pki-message"};
}

Bytes ScepServer::operation(const FetchRequest& request) const {
  ScepRequest got;
  got.post = !request.body.empty();
  const Bytes der = got.post ? request.body : from_base64(parameter(request.url, "message"));
  const CmsMessage message = parse_cms(der);
  const MemoryBio out(BIO_new(BIO_s_mem()));
  require(CMS_verify(message.get(), nullptr, nullptr, nullptr, out.get(),
                     CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) == 1,
          "verify a request");
  CMS_SignerInfo* info = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(message.get()), 0);
  X509* signer = nullptr;
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(info, nullptr, &signer, &digest, nullptr);
  got.signer = pki::encode(signer, i2d_X509);
  got.digest = OBJ_nid2sn(OBJ_obj2nid(digest->algorithm));
  got.message_type = text_of(attribute(info, pki::scep::kMessageTypeOid));
  got.transaction = text_of(attribute(info, pki::scep::kTransactionOid));
  got.nonce = attribute(info, pki::scep::kSenderNonceOid);
  const Bytes envelope = drain(out.get());
  got.cipher = envelope_cipher(envelope);
  CMS_ContentInfo* raw = CMS_ContentInfo_new_ex(server_library(), nullptr);
  const unsigned char* cursor = envelope.data();
  d2i_CMS_ContentInfo(&raw, &cursor, static_cast<long>(envelope.size()));
  const CmsMessage sealed(raw);
  const X509Object own = parse_certificate(ra_key != nullptr ? ra_certificate : ca_.certificate());
  const MemoryBio opened(BIO_new(BIO_s_mem()));
  require(CMS_decrypt(sealed.get(), ra_key != nullptr ? ra_key : ca_.key(), own.get(), nullptr, opened.get(),
                      CMS_BINARY) == 1,
          "decrypt a request");
  got.content = drain(opened.get());
  requests.push_back(got);
  return decide(got);
}

Bytes ScepServer::decide(const ScepRequest& request) const {
  CertRep rep;
  rep.transaction = request.transaction;
  rep.recipient_nonce = request.nonce;
  rep.recipient = request.signer;
  rep.signer = ra_key != nullptr ? ra_certificate : ca_.certificate();
  rep.signer_key = ra_key != nullptr ? ra_key : ca_.key();
  rep.cipher = request.cipher == "DES-EDE3-CBC" || request.cipher == "DES-CBC" ? request.cipher : rep.cipher;
  rep.digest = request.digest;
  const bool asks = request.message_type == "19" || request.message_type == "17";
  if (asks) waiting_ = request.content;
  if (request.message_type == "22") {
    rep.content = pkcs7({}, {ca_.crl()});
  } else if (answered_ < pending) {
    ++answered_;
    rep.status = "3";
  } else if (!refuse.empty()) {
    rep.status = "2";
    rep.fail_info = refuse;
  } else {
    const Bytes certificate = certificate_for(waiting_);
    if (certificate.empty()) {
      rep.status = "2";
      rep.fail_info = "2";
    } else {
      rep.content = pkcs7({certificate, ca_.certificate()});
    }
  }
  if (spoil) spoil(rep);
  return make_cert_rep(rep);
}

// Empty if the challenge password is wrong.
Bytes ScepServer::certificate_for(const Bytes& pkcs10) const {
  const unsigned char* cursor = pkcs10.data();
  const X509Request request(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(pkcs10.size())));
  require(request != nullptr, "read a PKCS#10");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  require(X509_REQ_verify(request.get(), key) == 1, "verify a PKCS#10");
  if (!wanted_challenge.empty() && challenge_of(request.get()) != wanted_challenge) return {};
  CertificateRequest wanted;
  const MemoryBio text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), X509_REQ_get_subject_name(request.get()), 0, XN_FLAG_RFC2253);
  wanted.subject = text_of(drain(text.get()));
  wanted.key = certify != nullptr ? certify : key;
  wanted.not_before = not_before;
  wanted.not_after = not_after;
  return ca_.issue(wanted);
}

}  // namespace oakgate::test
