#include "pki/objects.h"

#include <fmt/format.h>

#include <climits>
#include <ctime>

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

std::string digest_of_signature(int signature_nid) {
  int digest_nid = NID_undef;
  if (OBJ_find_sigid_algs(signature_nid, &digest_nid, nullptr) != 1 || digest_nid == NID_undef) return {};
  std::string out(OBJ_nid2sn(digest_nid));
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
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
