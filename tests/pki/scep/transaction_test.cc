#include "pki/scep/transaction.h"

#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

using test::kDay;
using test::kTestNow;

EnrollmentSettings settings(int count) {
  EnrollmentSettings out;
  out.retry_period = Seconds(300);
  out.retry_count = count;
  return out;
}

TEST(NextStep, PollsWhenThePeriodHasPassedAndGivesUpAfterTheCount) {
  Transaction transaction;
  transaction.next_poll = kTestNow + Seconds(300);
  EXPECT_EQ(next_step(transaction, settings(2), kTestNow), Step::wait);
  EXPECT_EQ(next_step(transaction, settings(2), kTestNow + Seconds(300)), Step::poll);
  note_poll(transaction, settings(2), kTestNow + Seconds(300));
  EXPECT_EQ(transaction.polls, 1);
  EXPECT_EQ(transaction.next_poll, kTestNow + Seconds(600));
  EXPECT_EQ(next_step(transaction, settings(2), kTestNow + Seconds(599)), Step::wait);
  note_poll(transaction, settings(2), kTestNow + Seconds(600));
  EXPECT_EQ(next_step(transaction, settings(2), kTestNow + Seconds(600)), Step::give_up);
}

TEST(NextStep, CountZeroNeverGivesUp) {
  Transaction transaction;
  for (int i = 0; i < 1000; ++i) note_poll(transaction, settings(0), kTestNow);
  EXPECT_EQ(next_step(transaction, settings(0), kTestNow + kDay), Step::poll);
}

Certificate of_life(std::chrono::hours life) {
  test::TestCa ca;
  test::CertificateRequest request;
  request.not_before = kTestNow;
  request.not_after = kTestNow + life;
  return test::certificate(ca.issue(request));
}

TEST(RenewalTime, ThirtyDaysBeforeTheEndOfALongLife) {
  EXPECT_EQ(renewal_time(of_life(365 * kDay)), kTestNow + 335 * kDay);
}
TEST(RenewalTime, AtFourFifthsOfAShortLife) {
  EXPECT_EQ(renewal_time(of_life(30 * kDay)), kTestNow + 24 * kDay);
}

TEST(NextRenewalAttempt, ATenthOfWhatIsLeftWithinBounds) {
  const Certificate certificate = of_life(365 * kDay);
  EXPECT_EQ(next_renewal_attempt(certificate, settings(0), kTestNow + 335 * kDay), kTestNow + 336 * kDay);
  EXPECT_EQ(next_renewal_attempt(certificate, settings(0), kTestNow + 360 * kDay),
            kTestNow + 360 * kDay + kDay / 2);
  EXPECT_EQ(next_renewal_attempt(certificate, settings(0), kTestNow + 366 * kDay),
            kTestNow + 366 * kDay + Seconds(300));
}

}  // namespace
}  // namespace oakgate::pki::scep
