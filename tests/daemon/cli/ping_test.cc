// What `oakgate ping` reads out of a tunnel's selectors, how it looks for the path MTU, and what it
// concludes.
#include "daemon/cli/ping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/cli/echo.h"

namespace oakgate::cli {
namespace {

std::string first_of(const std::string& text) {
  const auto side = parse_ping_side(text);
  return side ? first_host(side->range).to_string() : "none";
}

TEST(PingSide, IsReadAsStatusPrintsIt) {
  EXPECT_EQ(first_of("10.2.0.0/24"), "10.2.0.1");
  EXPECT_EQ(first_of("10.2.0.7/32"), "10.2.0.7");
  EXPECT_EQ(first_of("10.2.0.6/31"), "10.2.0.6");
  EXPECT_EQ(first_of("10.2.0.10-10.2.0.20"), "10.2.0.10");
  EXPECT_EQ(first_of("2001:db8:b1::/64"), "2001:db8:b1::1");
  EXPECT_EQ(first_of("0.0.0.0/0"), "0.0.0.1");
  EXPECT_EQ(first_of("nonsense"), "none");
  EXPECT_EQ(first_of("10.2.0.10-nonsense"), "none");
  EXPECT_EQ(parse_ping_side("10.2.0.0/24 tcp 179")->only, "tcp 179");
  EXPECT_EQ(parse_ping_side("10.2.0.0/24")->only, "");
}

// A path that lets packets of up to `limit` bytes through; `tells`: what is larger is reported, else lost.
PathMtu search(std::size_t limit, std::size_t at_most, bool tells, int lost_every = 0) {
  int asked = 0;
  std::size_t told = at_most;
  return find_path_mtu(
      kSmallEcho, at_most,
      [&](std::size_t size) {
        EchoOutcome outcome;
        ++asked;
        outcome.answered = size <= limit && (lost_every == 0 || asked % lost_every != 0);
        if (size > limit && tells) {
          outcome.too_big = true;
          told = limit;
        }
        return outcome;
      },
      [&] { return told; });
}

TEST(PathMtu, IsFoundWithAndWithoutHelp) {
  for (const std::size_t limit : {84U, 85U, 576U, 1280U, 1393U, 1438U, 1499U, 1500U, 9000U}) {
    EXPECT_EQ(search(limit, 1500, true).bytes, std::min<std::size_t>(limit, 1500)) << limit;
    const PathMtu silent = search(limit, 1500, false);
    EXPECT_EQ(silent.bytes, std::min<std::size_t>(limit, 1500)) << limit;
    EXPECT_LE(silent.echoes, 32);
  }
  EXPECT_LE(search(1438, 1500, true).echoes, 3) << "the kernel knows";
  EXPECT_EQ(search(1438, 1500, false, 7).bytes, 1438U) << "one that is lost is sent again";
}

PingCounts counts(int sent, int received, std::uint64_t out, std::uint64_t in) {
  PingCounts made;
  made.sent = sent;
  made.received = received;
  made.out = out;
  made.in = in;
  made.spi_out = "0x0000aaaa";
  made.spi_in = "0x0000bbbb";
  made.address = "10.2.0.10";
  return made;
}

TEST(PingVerdict, NamesTheDirection) {
  using testing::HasSubstr;
  EXPECT_EQ(ping_verdict(counts(5, 5, 5, 5)), "the tunnel carries both ways");
  EXPECT_THAT(ping_verdict(counts(5, 3, 5, 3)), HasSubstr("2 of 5 packets were lost"));
  EXPECT_THAT(ping_verdict(counts(5, 0, 0, 0)), HasSubstr("nothing went out in SPI 0x0000aaaa"));
  EXPECT_THAT(ping_verdict(counts(5, 0, 5, 0)), HasSubstr("we sent 5 in SPI 0x0000aaaa, nothing came back"));
  EXPECT_THAT(ping_verdict(counts(5, 0, 5, 5)),
              HasSubstr("5 packets came in by SPI 0x0000bbbb, but no answer"));
  PingCounts renewed = counts(5, 0, 0, 0);
  renewed.same_sas = false;
  renewed.complaint = "No route to host";
  EXPECT_THAT(ping_verdict(renewed), testing::AllOf(HasSubstr("renewed"), HasSubstr("No route to host")));
}

}  // namespace
}  // namespace oakgate::cli
