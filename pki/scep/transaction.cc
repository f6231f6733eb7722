#include "pki/scep/transaction.h"

#include <algorithm>

namespace oakgate::pki::scep {

namespace {

constexpr std::chrono::hours kRenewBefore{30 * 24};
constexpr int kRenewAtPercent = 80;
constexpr Seconds kShortestRetry{1};
constexpr std::chrono::hours kLongestRenewalRetry{24};

Seconds period(const EnrollmentSettings& settings) {
  return std::max(settings.retry_period, kShortestRetry);
}

}  // namespace

Step next_step(const Transaction& transaction, const EnrollmentSettings& settings, WallTime now) {
  if (settings.retry_count > 0 && transaction.polls >= settings.retry_count) return Step::give_up;
  return now >= transaction.next_poll ? Step::poll : Step::wait;
}

void note_poll(Transaction& transaction, const EnrollmentSettings& settings, WallTime now) {
  ++transaction.polls;
  transaction.next_poll = now + period(settings);
}

WallTime renewal_time(const Certificate& certificate) {
  const Seconds life = certificate.not_after() - certificate.not_before();
  const WallTime late_in_life = certificate.not_before() + life / 100 * kRenewAtPercent;
  return std::max(late_in_life, certificate.not_after() - kRenewBefore);
}

WallTime next_renewal_attempt(const Certificate& certificate, const EnrollmentSettings& settings,
                              WallTime now) {
  const Seconds longest = std::max<Seconds>(kLongestRenewalRetry, period(settings));
  return now + std::clamp<Seconds>((certificate.not_after() - now) / 10, period(settings), longest);
}

}  // namespace oakgate::pki::scep
