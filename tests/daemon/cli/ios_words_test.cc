// Connections, debugging, the clock: letter by letter.
#include "daemon/cli/ios_words.h"

#include <gtest/gtest.h>

#include "tests/daemon/snapshots.h"

namespace oakgate::cli {
namespace {

TEST(IosWords, ConnectionsCountWhatEachSaHasCarried) {
  ConnectionNumbers numbers;
  StatusInput input = test::status_input();
  input.peers[0].tunnels[0].sas.resize(1);
  EXPECT_EQ(ios_connections(ipsec_sa_json(input, numbers)),
            "    ID  Interface  IP-Address      State  Algorithm            Encrypt  Decrypt\n"
            "  1001  software   192.0.2.1       set    AES256+SHA256              0       10\n"
            "  1002  software   192.0.2.1       set    AES256+SHA256             20        0\n");
  EXPECT_EQ(ios_connections(Json::object()),
            "    ID  Interface  IP-Address      State  Algorithm            Encrypt  Decrypt\n");
}

TEST(IosWords, DebuggingIsSaidAsIosSaysIt) {
  EXPECT_EQ(ios_debugging({{"streams", Json::array()}}), "");
  EXPECT_EQ(ios_debugging({{"streams",
                            {{{"facility", "isakmp"}, {"peer", ""}, {"lines", 4}, {"left_out", 0}},
                             {{"facility", "pki"}, {"peer", "branch-7"}, {"lines", 4}, {"left_out", 1}},
                             {{"facility", "other"}}}}}),
            "Cryptographic Subsystem:\n"
            "  Crypto ISAKMP debugging is on\n"
            "  Crypto PKI Trans debugging is on, peer branch-7 (1 line left out)\n");
}

TEST(IosWords, DebugLines) {
  EXPECT_EQ(ios_debug_lines({{"at", "2026-11-03T08:10:27Z"},
                             {"peer", "branch-7"},
                             {"tunnel", ""},
                             {"connection", 1001},
                             {"line", "ISAKMP: SA has been authenticated with 192.0.2.2"}}),
            "*Nov  3 08:10:27: ISAKMP:(1001): SA has been authenticated with 192.0.2.2 [branch-7]\n");
  EXPECT_EQ(ios_debug_lines({{"at", "2026-11-30T08:10:27Z"}, {"line", "12 lines left out"}}),
            "*Nov 30 08:10:27: 12 lines left out\n");
  EXPECT_EQ(
      ios_debug_lines(
          {{"at", "2026-11-30T08:10:27Z"},
           {"peer", "branch-7"},
           {"tunnel", "lan"},
           {"connection", 0},
           {"line", "ISAKMP: atts are not acceptable"},
           {"proposals",
            {{{"offered", "des md5"},
              {"wanted", "aes-256 sha256"},
              {"differences", {{{"attribute", "encryption"}, {"theirs", "des"}, {"ours", "aes-256"}}}}}}}}),
      "*Nov 30 08:10:27: ISAKMP:(0): Checking des md5 against aes-256 sha256\n"
      "*Nov 30 08:10:27: ISAKMP:      encryption offered: des, ours: aes-256\n"
      "*Nov 30 08:10:27: ISAKMP:(0): atts are not acceptable [branch-7/lan]\n");
  // Whatever another version of the daemon may send.
  EXPECT_EQ(ios_debug_lines(Json::object()), "*\n");
  EXPECT_EQ(ios_debug_lines({{"at", "2026-13-30T08:10:27Z"}, {"line", 7}, {"proposals", 1}}), "*\n");
}

TEST(IosWords, Clock) {
  EXPECT_EQ(ios_clock(std::chrono::system_clock::time_point(std::chrono::milliseconds(1795205464123))),
            "20:11:04.123 UTC Fri Nov 20 2026\n");
}

}  // namespace
}  // namespace oakgate::cli
