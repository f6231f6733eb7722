#include "pki/ocsp.h"

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace oakgate::pki {

namespace {

using Request = crypto::Owned<OCSP_REQUEST, OCSP_REQUEST_free>;
using Response = crypto::Owned<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using BasicResponse = crypto::Owned<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using CertId = crypto::Owned<OCSP_CERTID, OCSP_CERTID_free>;

constexpr int kMaxResponderCertificates = 8;      // that an answer may carry
constexpr auto kSlack = std::chrono::minutes(5);  // between the responder's clock and ours
constexpr auto kUndatedLife = std::chrono::hours(24);
constexpr const char* kOcspSigning = "1.3.6.1.5.5.7.3.9";  // id-kp-OCSPSigning, RFC 6960 section 4.2.2.2

tl::unexpected<Error> refuse(std::string what, std::string expected = {}) {
  crypto::drop_openssl_errors();
  return fail(ErrorCode::crl_invalid, "OCSP answer: " + std::move(what), std::move(expected),
              "look at the responder's log, or let `openssl ocsp` ask it");
}

CertId cert_id(const Certificate& subject, const Certificate& issuer) {
  return CertId(OCSP_cert_to_id(EVP_sha1(), subject.native(), issuer.native()));
}

Result<BasicResponse> parse_answer(ByteView der) {
  if (der.size() > kMaxOcspBytes) return refuse(fmt::format("{} bytes", der.size()), "64 KB at most");
  const unsigned char* next = der.data();
  const Response response(d2i_OCSP_RESPONSE(nullptr, &next, static_cast<long>(der.size())));
  if (!response || next != der.data() + der.size())
    return refuse("not an OCSPResponse", "DER, RFC 6960 section 4.2.1");
  const int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return refuse(fmt::format("the responder says {}", OCSP_response_status_str(status)), "successful");
  }
  BasicResponse basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return refuse("of an unknown type", "id-pkix-ocsp-basic");
  return basic;
}

bool signed_with(const OCSP_BASICRESP* basic, X509* signer) {
  EVP_PKEY* key = X509_get0_pubkey(signer);
  const bool good =
      key != nullptr &&
      ASN1_item_verify(ASN1_ITEM_rptr(OCSP_RESPDATA), OCSP_resp_get0_tbs_sigalg(basic),
                       OCSP_resp_get0_signature(basic), OCSP_resp_get0_respdata(basic), key) == 1;
  crypto::drop_openssl_errors();
  return good;
}

// RFC 6960 section 4.2.2.2: "Systems relying on OCSP responses MUST recognize a delegation certificate as
// being issued by the CA that issued the certificate in question only if the delegation certificate and the
// certificate being checked for revocation were signed by the same key."
Result<void> may_answer_for(const Certificate& responder, const Certificate& issuer, WallTime now) {
  const auto usages = responder.extended_key_usage();
  if (!usages || std::find(usages->begin(), usages->end(), kOcspSigning) == usages->end()) {
    return refuse(fmt::format("{} signed it, who is no OCSP responder", responder.subject_text()),
                  "extendedKeyUsage OCSPSigning in the responder's certificate");
  }
  EVP_PKEY* key = X509_get0_pubkey(issuer.native());
  if (responder.issuer() != issuer.subject() || key == nullptr || X509_verify(responder.native(), key) != 1) {
    return refuse(fmt::format("its responder's certificate is not {}'s", issuer.subject_text()),
                  "a certificate that the CA itself signed");
  }
  if (now < responder.not_before() || now > responder.not_after()) {
    return refuse(fmt::format("its responder's certificate is valid from {} to {} only",
                              time_text(responder.not_before()), time_text(responder.not_after())));
  }
  return {};
}

std::string digest_of_answer(const OCSP_BASICRESP* basic) {
  return digest_of_signature(OCSP_resp_get0_tbs_sigalg(basic));
}

// RFC 6960 section 4.2.2.2.1: "A CA may specify that an OCSP client can trust a responder for the lifetime of
// the responder's certificate. The CA does so by including the extension id-pkix-ocsp-nocheck."
bool trusted_for_life(const Certificate& responder) {
  return X509_get_ext_by_NID(responder.native(), NID_id_pkix_OCSP_noCheck, -1) >= 0;
}

// Who signed it and with which digests goes into `status`, once it is clear that it is somebody who may.
Result<void> check_signature(const OCSP_BASICRESP* basic, const Certificate& issuer, WallTime now,
                             OcspStatus& status) {
  status.signature_digests = {digest_of_answer(basic)};
  bool found = signed_with(basic, issuer.native());
  const STACK_OF(X509)* sent = OCSP_resp_get0_certs(basic);
  const int count = std::min(sk_X509_num(sent), kMaxResponderCertificates);
  for (int i = 0; !found && i < count; ++i) {
    X509* native = sk_X509_value(sent, i);
    if (!signed_with(basic, native)) continue;
    const Result<Certificate> responder = Certificate::from_native(native);
    if (!responder) return fail(responder.error());
    if (const auto may = may_answer_for(*responder, issuer, now); !may) return fail(may.error());
    status.signature_digests.push_back(responder->signature_digest());
    if (!trusted_for_life(*responder)) status.responder = *responder;
    found = true;
  }
  if (!found) {
    return refuse(fmt::format("its signature is neither {}'s nor a responder's of it", issuer.subject_text()),
                  "an answer signed by the CA or by a responder it appointed");
  }
  return {};
}

Result<void> check_dates(const OcspStatus& status, WallTime now) {
  if (status.this_update > now + kSlack) {
    return refuse(fmt::format("not yet valid (router time not synched to CA?): made at {}",
                              time_text(status.this_update)),
                  fmt::format("a thisUpdate before {}", time_text(now)));
  }
  const WallTime end = status.next_update.value_or(status.this_update + kUndatedLife);
  if (end + kSlack < now) {
    return refuse(fmt::format("stale: it was good until {}", time_text(end)),
                  fmt::format("a nextUpdate after {}", time_text(now)));
  }
  return {};
}

}  // namespace

Result<Bytes> ocsp_request(const Certificate& subject, const Certificate& issuer) {
  const Request request(OCSP_REQUEST_new());
  CertId id = cert_id(subject, issuer);
  if (!request || !id || OCSP_request_add0_id(request.get(), id.get()) == nullptr) {
    return crypto::openssl_failure("making an OCSP request");
  }
  static_cast<void>(id.release());  // the request's now
  Bytes der = encode(request.get(), i2d_OCSP_REQUEST);
  if (der.empty()) return fail(ErrorCode::internal, "an OCSP request cannot be encoded");
  return der;
}

Result<OcspStatus> read_ocsp_answer(ByteView der, const Certificate& subject, const Certificate& issuer,
                                    WallTime now) {
  const Result<BasicResponse> basic = parse_answer(der);
  if (!basic) return fail(basic.error());
  OcspStatus status;
  if (const auto good = check_signature(basic->get(), issuer, now, status); !good) return fail(good.error());

  const CertId id = cert_id(subject, issuer);
  int verdict = V_OCSP_CERTSTATUS_UNKNOWN;
  int reason = OCSP_REVOKED_STATUS_NOSTATUS;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  if (!id || OCSP_resp_find_status(basic->get(), id.get(), &verdict, &reason, &revoked_at, &this_update,
                                   &next_update) != 1) {
    return refuse(fmt::format("it does not speak of the certificate {}", subject.serial()));
  }
  const auto made = wall_time(this_update);
  status.next_update = next_update == nullptr ? std::nullopt : wall_time(next_update);
  if (!made || (next_update != nullptr && !status.next_update)) return refuse("its dates are none");
  status.this_update = *made;
  if (const auto current = check_dates(status, now); !current) return fail(current.error());
  if (verdict == V_OCSP_CERTSTATUS_UNKNOWN) {
    return fail(ErrorCode::crl_unavailable,
                fmt::format("the OCSP responder does not know the certificate {} of {}", subject.serial(),
                            issuer.subject_text()),
                "good or revoked", "ask its CA whether it issued that certificate");
  }
  status.revoked = verdict == V_OCSP_CERTSTATUS_REVOKED;
  status.revoked_at = wall_time(revoked_at).value_or(status.this_update);
  if (status.revoked && reason >= 0) status.reason = OCSP_crl_reason_str(reason);
  return status;
}

}  // namespace oakgate::pki
