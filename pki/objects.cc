#include "pki/objects.h"

#include <fmt/format.h>
#include <openssl/rsa.h>

#include <array>
#include <climits>
#include <ctime>
#include <string_view>

namespace oakgate::pki {

MemoryBio memory_bio(ByteView bytes) {
  if (bytes.size() > INT_MAX) return {};
  return MemoryBio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

std::optional<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    crypto::drop_openssl_errors();
    return std::nullopt;
  }
  const std::chrono::year_month_day day{std::chrono::year(parts.tm_year + 1900),
                                        std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                        std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
  if (!day.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(day)) + std::chrono::hours(parts.tm_hour) +
         std::chrono::minutes(parts.tm_min) + std::chrono::seconds(parts.tm_sec);
}

std::string time_text(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(time - days);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string hex_serial(const ASN1_INTEGER* serial) {
  const crypto::BigNumber number(ASN1_INTEGER_to_BN(serial, nullptr));
  char* text = number == nullptr ? nullptr : BN_bn2hex(number.get());
  if (text == nullptr) {
    crypto::drop_openssl_errors();
    return {};
  }
  std::string out(text);
  OPENSSL_free(text);
  return out;
}

namespace {

using PssParameters = crypto::Owned<RSA_PSS_PARAMS, RSA_PSS_PARAMS_free>;

// RFC 4055 section 3.1: the hash is in the parameters, SHA-1 if it is absent.
int pss_digest(const X509_ALGOR* algorithm) {
  const void* value = nullptr;
  int type = V_ASN1_UNDEF;
  X509_ALGOR_get0(nullptr, &type, &value, algorithm);
  if (type != V_ASN1_SEQUENCE) return NID_undef;
  const auto* sequence = static_cast<const ASN1_STRING*>(value);
  const unsigned char* cursor = ASN1_STRING_get0_data(sequence);
  const PssParameters parameters(d2i_RSA_PSS_PARAMS(nullptr, &cursor, ASN1_STRING_length(sequence)));
  if (parameters == nullptr) {
    crypto::drop_openssl_errors();
    return NID_undef;
  }
  return parameters->hashAlgorithm == nullptr ? NID_sha1 : OBJ_obj2nid(parameters->hashAlgorithm->algorithm);
}

}  // namespace

std::string digest_of_signature(const X509_ALGOR* algorithm) {
  if (algorithm == nullptr) return {};
  const int nid = OBJ_obj2nid(algorithm->algorithm);
  if (nid == NID_ED25519 || nid == NID_ED448) return "none";
  int digest_nid = NID_undef;
  if (nid == NID_rsassaPss) {
    digest_nid = pss_digest(algorithm);
  } else {
    OBJ_find_sigid_algs(nid, &digest_nid, nullptr);
  }
  if (digest_nid == NID_undef) return {};
  std::string out(OBJ_nid2sn(digest_nid));
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string reason_text(long reason) {
  constexpr std::array<std::string_view, 11> kReasons = {
      "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
      "superseded",    "cessationOfOperation", "certificateHold", "",
      "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};
  return reason < 0 || reason >= static_cast<long>(kReasons.size())
             ? std::string()
             : std::string(kReasons[static_cast<std::size_t>(reason)]);
}

Bytes digest(const char* name, ByteView data) {
  Bytes out(EVP_MAX_MD_SIZE);
  std::size_t size = 0;
  if (EVP_Q_digest(nullptr, name, nullptr, data.data(), data.size(), out.data(), &size) != 1) {
    crypto::drop_openssl_errors();
    return {};
  }
  out.resize(size);
  return out;
}

}  // namespace oakgate::pki
