#include "pki/crl.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <string_view>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::pki {
namespace {

using crypto::drop_openssl_errors;
using IssuingPoint = crypto::Owned<ISSUING_DIST_POINT, ISSUING_DIST_POINT_free>;
using CrlPoints = crypto::Owned<CRL_DIST_POINTS, CRL_DIST_POINTS_free>;
using Integer = crypto::Owned<ASN1_INTEGER, ASN1_INTEGER_free>;
using Enumerated = crypto::Owned<ASN1_ENUMERATED, ASN1_ENUMERATED_free>;

tl::unexpected<Error> invalid(std::string text, std::string expected = {}, std::string remedy = {}) {
  drop_openssl_errors();
  return fail(ErrorCode::crl_invalid, std::move(text), std::move(expected), std::move(remedy));
}

X509Crl parse_pem(ByteView file) {
  const MemoryBio in = memory_bio(file);
  X509Crl out(in == nullptr ? nullptr : PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr));
  return out;
}

X509Crl parse_der(ByteView file) {
  const unsigned char* cursor = file.data();
  X509Crl out(file.empty() ? nullptr : d2i_X509_CRL(nullptr, &cursor, static_cast<long>(file.size())));
  if (cursor != file.data() + file.size()) return {};
  return out;
}

template <typename Owner, typename Object>
Owner extension(const Object* object, int nid, void* (*get)(const Object*, int, int*, int*)) {
  Owner out(static_cast<typename Owner::pointer>(get(object, nid, nullptr, nullptr)));
  if (out == nullptr) drop_openssl_errors();
  return out;
}

ReasonMask reasons_of(const ASN1_BIT_STRING* reasons) {
  if (reasons == nullptr) return kAllReasons;
  const unsigned char* data = ASN1_STRING_get0_data(reasons);
  const int size = ASN1_STRING_length(reasons);
  ReasonMask out = size > 0 ? data[0] : 0;
  if (size > 1) out |= static_cast<ReasonMask>(data[1]) << 8;
  return out & kAllReasons;
}

// RFC 5280 section 5.2: a CRL with a critical extension that is not understood must not be used.
Result<void> check_extensions(const X509_CRL* crl, const std::string& whose) {
  constexpr std::array kKnown = {NID_issuing_distribution_point, NID_authority_key_identifier,
                                 NID_crl_number};
  for (int index = 0; index < X509_CRL_get_ext_count(crl); ++index) {
    X509_EXTENSION* extension = X509_CRL_get_ext(crl, index);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_delta_crl) {
      return invalid(whose + " is a delta CRL", "a complete CRL",
                     "Name a URL of the complete CRL in crl: urls.");
    }
    if (X509_EXTENSION_get_critical(extension) != 1) continue;
    if (std::find(kKnown.begin(), kKnown.end(), nid) == kKnown.end()) {
      return invalid(whose + " has a critical extension that nobody here knows", "RFC 5280 section 5.2");
    }
  }
  return {};
}

Result<void> check_entry(const X509_REVOKED* entry, const std::string& whose) {
  constexpr std::array kKnown = {NID_crl_reason, NID_invalidity_date};
  for (int index = 0; index < X509_REVOKED_get_ext_count(entry); ++index) {
    X509_EXTENSION* extension = X509_REVOKED_get_ext(entry, index);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_certificate_issuer)
      return invalid(whose + " is an indirect CRL", "a CRL of the CA itself");
    if (X509_EXTENSION_get_critical(extension) != 1) continue;
    if (std::find(kKnown.begin(), kKnown.end(), nid) == kKnown.end()) {
      return invalid(whose + " has an entry with a critical extension that nobody here knows",
                     "RFC 5280 section 5.3");
    }
  }
  return {};
}

Result<void> check_entries(X509_CRL* crl, const std::string& whose) {
  const STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(crl);
  const int count = std::max(sk_X509_REVOKED_num(entries), 0);
  if (static_cast<std::size_t>(count) > kMaxCrlEntries) {
    return invalid(fmt::format("{} has {} entries", whose, count), fmt::format("at most {}", kMaxCrlEntries));
  }
  for (int index = 0; index < count; ++index) {
    if (auto good = check_entry(sk_X509_REVOKED_value(entries, index), whose); !good) return good;
  }
  return {};
}

bool same_general_name(const GENERAL_NAME* a, const GENERAL_NAME* b) {
  return GENERAL_NAME_cmp(const_cast<GENERAL_NAME*>(a), const_cast<GENERAL_NAME*>(b)) == 0;
}

bool has_directory_name(const GENERAL_NAMES* names, const X509_NAME* name) {
  for (int index = 0; index < sk_GENERAL_NAME_num(names); ++index) {
    const GENERAL_NAME* candidate = sk_GENERAL_NAME_value(names, index);
    if (candidate->type == GEN_DIRNAME && X509_NAME_cmp(candidate->d.directoryName, name) == 0) return true;
  }
  return false;
}

// Whether two distribution point names have one in common; relative ones were made whole before.
bool same_point(const DIST_POINT_NAME* a, const DIST_POINT_NAME* b) {
  if (a->type == 1 && b->type == 1) {
    return a->dpname != nullptr && b->dpname != nullptr && X509_NAME_cmp(a->dpname, b->dpname) == 0;
  }
  if (a->type == 1) return a->dpname != nullptr && has_directory_name(b->name.fullname, a->dpname);
  if (b->type == 1) return same_point(b, a);
  for (int left = 0; left < sk_GENERAL_NAME_num(a->name.fullname); ++left) {
    for (int right = 0; right < sk_GENERAL_NAME_num(b->name.fullname); ++right) {
      if (same_general_name(sk_GENERAL_NAME_value(a->name.fullname, left),
                            sk_GENERAL_NAME_value(b->name.fullname, right))) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

struct Crl::Content {
  X509Crl crl;
  Bytes der;
  WallTime this_update{};
  WallTime next_update{};
  std::size_t entries = 0;
  IssuingPoint point;  // its name whole, if it is relative to the issuer
  // Keys that verified it: 10 MB need not be hashed for each peer.
  mutable std::mutex mutex;
  mutable std::vector<Bytes> verified_by;
};

Result<Crl> Crl::parse(ByteView file) {
  // PEM has a third more, and lines around it.
  if (file.size() > kMaxCrlBytes + kMaxCrlBytes / 2) {
    return invalid(fmt::format("a CRL of {} bytes", file.size()), fmt::format("at most {}", kMaxCrlBytes));
  }
  const auto content = std::make_shared<Content>();
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  content->crl = text.find("-----BEGIN ") != std::string_view::npos ? parse_pem(file) : parse_der(file);
  X509_CRL* crl = content->crl.get();
  if (crl == nullptr) return invalid("what should be a CRL is none", "the DER or PEM of an X.509 CRL");
  content->der = encode(crl, i2d_X509_CRL);
  if (content->der.empty() || content->der.size() > kMaxCrlBytes) {
    return invalid(fmt::format("a CRL of {} bytes", content->der.size()),
                   fmt::format("at most {}", kMaxCrlBytes));
  }
  Crl out;
  out.content_ = content;
  const std::string whose = "the CRL of \"" + out.issuer_text() + '"';
  const auto begin = wall_time(X509_CRL_get0_lastUpdate(crl));
  if (!begin) return invalid(whose + " does not say when it was made");
  // RFC 5280 section 5.1.2.5: "Conforming CRL issuers MUST include the nextUpdate field in all CRLs." Without
  // it an old list could be played to us for ever.
  const auto end = wall_time(X509_CRL_get0_nextUpdate(crl));
  if (!end) return invalid(whose + " does not say until when it is good", "nextUpdate");
  content->this_update = *begin;
  content->next_update = *end;
  content->entries = static_cast<std::size_t>(std::max(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 0));
  if (auto good = check_extensions(crl, whose); !good) return tl::unexpected(good.error());
  if (auto good = check_entries(crl, whose); !good) return tl::unexpected(good.error());
  const bool has_point = X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0;
  content->point = extension<IssuingPoint>(crl, NID_issuing_distribution_point, X509_CRL_get_ext_d2i);
  if (has_point && content->point == nullptr)
    return invalid(whose + " has a broken issuing distribution point");
  if (content->point != nullptr && content->point->indirectCRL > 0) {
    return invalid(whose + " is an indirect CRL", "a CRL of the CA itself");
  }
  if (content->point != nullptr && content->point->distpoint != nullptr) {
    DIST_POINT_set_dpname(content->point->distpoint, X509_CRL_get_issuer(crl));
  }
  X509_CRL_sort(crl);  // now, not while other threads look for a serial number
  drop_openssl_errors();
  return out;
}

bool Crl::is_of(const X509_NAME* issuer) const {
  return X509_NAME_cmp(X509_CRL_get_issuer(content_->crl.get()), issuer) == 0;
}

const Bytes& Crl::der() const {
  return content_->der;
}
Bytes Crl::issuer() const {
  return encode(X509_CRL_get_issuer(content_->crl.get()), i2d_X509_NAME);
}
std::string Crl::issuer_text() const {
  return crypto::name_text(issuer()).value_or(std::string());
}
WallTime Crl::this_update() const {
  return content_->this_update;
}
WallTime Crl::next_update() const {
  return content_->next_update;
}
std::size_t Crl::entries() const {
  return content_->entries;
}

std::string Crl::number() const {
  const auto number = extension<Integer>(content_->crl.get(), NID_crl_number, X509_CRL_get_ext_d2i);
  return number == nullptr ? std::string() : hex_serial(number.get());
}

bool Crl::newer_than(const Crl& other) const {
  if (this_update() != other.this_update()) return this_update() > other.this_update();
  const auto ours = extension<Integer>(content_->crl.get(), NID_crl_number, X509_CRL_get_ext_d2i);
  const auto theirs = extension<Integer>(other.content_->crl.get(), NID_crl_number, X509_CRL_get_ext_d2i);
  return ours != nullptr && (theirs == nullptr || ASN1_INTEGER_cmp(ours.get(), theirs.get()) > 0);
}

std::string Crl::signature_digest() const {
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(content_->crl.get(), nullptr, &algorithm);
  return digest_of_signature(algorithm);
}

Bytes Crl::scope() const {
  return encode(content_->point.get(), i2d_ISSUING_DIST_POINT);
}

Result<void> Crl::signed_by(const Certificate& issuer) const {
  const std::string whose = "the CRL of \"" + issuer_text() + '"';
  if (!is_of(X509_get_subject_name(issuer.native()))) {
    return invalid(whose + " is not of \"" + issuer.subject_text() + '"');
  }
  // RFC 5280 section 6.3.3 (f): "If a key usage extension is present in the CRL issuer's certificate, verify
  // that the cRLSign bit is set."
  if (const auto usage = issuer.key_usage(); usage && (*usage & KU_CRL_SIGN) == 0) {
    return invalid(whose + " is signed with a key that may not sign CRLs",
                   "keyUsage with cRLSign in the CA's");
  }
  const Bytes key = issuer.public_key();
  {
    const std::lock_guard lock(content_->mutex);
    const auto& known = content_->verified_by;
    if (std::find(known.begin(), known.end(), key) != known.end()) return {};
  }
  if (X509_CRL_verify(content_->crl.get(), X509_get0_pubkey(issuer.native())) != 1) {
    return invalid("the signature of " + whose + " is not its issuer's", "a CRL signed with the CA's key");
  }
  const std::lock_guard lock(content_->mutex);
  if (content_->verified_by.size() < 8) content_->verified_by.push_back(key);
  return {};
}

Result<void> Crl::current(WallTime now) const {
  if (content_->this_update > now) {
    return invalid(
        fmt::format("New CRL Not Yet Valid (router time not synched to CA?): the CRL of \"{}\" was published "
                    "{}, our time {}",
                    issuer_text(), time_text(content_->this_update), time_text(now)),
        "a CRL from the past", "Set our clock; or the CA's is ahead.");
  }
  if (content_->next_update < now) {
    return invalid(
        fmt::format("the CRL of \"{}\" is stale (server timer behind router): nextUpdate {}, our time {}",
                    issuer_text(), time_text(content_->next_update), time_text(now)),
        "a CRL whose nextUpdate is to come", "Have the CA publish a new one; or set our clock.");
  }
  return {};
}

ReasonMask Crl::covers(const Certificate& certificate) const {
  X509* native = certificate.native();
  const X509_NAME* issuer = X509_get_issuer_name(native);
  if (!is_of(issuer)) return 0;
  const ISSUING_DIST_POINT* scope = content_->point.get();
  if (scope == nullptr) return kAllReasons;
  const bool is_ca = (X509_get_extension_flags(native) & EXFLAG_CA) != 0;
  if (scope->onlyattr > 0 || (is_ca && scope->onlyuser > 0) || (!is_ca && scope->onlyCA > 0)) return 0;
  const ReasonMask reasons = reasons_of(scope->onlysomereasons);
  CrlPoints points(
      static_cast<CRL_DIST_POINTS*>(X509_get_ext_d2i(native, NID_crl_distribution_points, nullptr, nullptr)));
  drop_openssl_errors();
  ReasonMask out = 0;
  for (int index = 0; index < sk_DIST_POINT_num(points.get()); ++index) {
    const DIST_POINT* point = sk_DIST_POINT_value(points.get(), index);
    // With cRLIssuer another CA's list is meant: an indirect one.
    if (point->CRLissuer != nullptr && !has_directory_name(point->CRLissuer, issuer)) continue;
    if (scope->distpoint != nullptr) {
      if (point->distpoint == nullptr) continue;
      DIST_POINT_set_dpname(point->distpoint, issuer);
      // RFC 4945 section 5.1.3.13: "IKE implementations MUST support validating that the contents of
      // CRLDistributionPoints match those of the IssuingDistributionPoint to prevent CRL substitution".
      if (!same_point(point->distpoint, scope->distpoint)) continue;
    }
    out |= reasons & reasons_of(point->reasons);
  }
  drop_openssl_errors();
  // RFC 5280 section 6.3.3, at its end: CRLs that no distribution point names, "the distribution point having
  // the certificate issuer's name".
  if (scope->distpoint == nullptr ||
      (scope->distpoint->type == 0 && has_directory_name(scope->distpoint->name.fullname, issuer))) {
    out |= reasons;
  }
  return out;
}

std::optional<Crl::Entry> Crl::find(const Certificate& certificate) const {
  X509_REVOKED* revoked = nullptr;
  const int found =
      X509_CRL_get0_by_serial(content_->crl.get(), &revoked, X509_get_serialNumber(certificate.native()));
  drop_openssl_errors();
  if (found == 0 || revoked == nullptr) return std::nullopt;
  Entry out;
  out.revoked_at = wall_time(X509_REVOKED_get0_revocationDate(revoked)).value_or(WallTime{});
  const auto reason = extension<Enumerated>(revoked, NID_crl_reason, X509_REVOKED_get_ext_d2i);
  if (reason != nullptr) out.reason = reason_text(ASN1_ENUMERATED_get(reason.get()));
  return out;
}

}  // namespace oakgate::pki
