// A pair of selectors as the tests of the guard protect it.
#pragma once

#include <cstdint>

#include "ike/ports/data_plane.h"

namespace oakgate::test {

// Under reqid kReqidBase + `number`; our gateway is 192.0.2.1 or 2001:db8::1, as the peer's family has it.
[[nodiscard]] inline ProtectPolicy guarded_pair(std::uint32_t number, const char* local, const char* remote,
                                                const char* peer = "198.51.100.2") {
  ProtectPolicy policy;
  policy.reqid = Reqid{kReqidBase + number};
  policy.selectors = {{*Subnet::parse(local)}, {*Subnet::parse(remote)}};
  policy.remote_gateway = *IpAddress::parse(peer);
  policy.local_gateway = *IpAddress::parse(policy.remote_gateway->is_v4() ? "192.0.2.1" : "2001:db8::1");
  return policy;
}

}  // namespace oakgate::test
