// `oakgate ping`: whether a tunnel carries, and if not, in which direction it fails: echoes from our side of
// its selectors to the peer's, the largest packet that passes whole, and what its SAs counted meanwhile.
#pragma once

#include <optional>
#include <string>

#include "daemon/cli/arguments.h"
#include "ike/base/net.h"

namespace oakgate::cli {

[[nodiscard]] int ping(const Arguments& arguments);

// One side of a pair as `status` prints it: "10.1.0.0/24", "10.1.0.10-10.1.0.20 tcp".
struct PingSide {
  AddressRange range;
  std::string only;  // the protocol and port that alone pass; empty: all
};
[[nodiscard]] std::optional<PingSide> parse_ping_side(const std::string& text);
// Of a net its first host, which mostly is a gateway.
[[nodiscard]] IpAddress first_host(const AddressRange& range);

// What the numbers mean.
struct PingCounts {
  int sent = 0;
  int received = 0;
  std::uint64_t out = 0;  // packets that the outbound SA counted meanwhile
  std::uint64_t in = 0;
  bool same_sas = true;  // no renewal came between
  std::string spi_in;
  std::string spi_out;
  std::string address;
  std::string complaint;  // of the network, EchoOutcome's
};
[[nodiscard]] std::string ping_verdict(const PingCounts& counts);

}  // namespace oakgate::cli
