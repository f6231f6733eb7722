// Where a fetch may go: names become addresses within a deadline, and addresses that only an operator may
// send us to are told apart. Whoever holds a certificate that chains to our CA writes URLs into it: they must
// not make this gateway talk to its own network (RFC 5280 section 8, "Security Considerations").
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/types.h"

namespace oakgate::pki {

using Deadline = std::chrono::steady_clock::time_point;
[[nodiscard]] Deadline deadline_after(Milliseconds time);
[[nodiscard]] Milliseconds time_left(Deadline deadline);  // 0 if it has passed

// "a loopback address", "a private address" ...; empty for one of the public Internet. IPv4 within IPv6
// (mapped, compatible, NAT64, 6to4) counts as what it embeds.
[[nodiscard]] std::string_view address_kind(const IpAddress& address);

// All addresses of a host name; may block for long. ErrorCode::fetch_failed.
using LookUpName = std::function<Result<std::vector<IpAddress>>(const std::string& host)>;
[[nodiscard]] Result<std::vector<IpAddress>> look_up_by_system(const std::string& host);

// What tests replace: name servers, and which addresses are public.
struct AddressRules {
  LookUpName look_up = look_up_by_system;
  std::function<std::string_view(const IpAddress&)> kind = address_kind;
};

// Look-ups run in threads of their own, at most kMaxLookUps at once, and one that a dead name server holds up
// is left behind.
class ServerAddresses {
 public:
  explicit ServerAddresses(AddressRules rules);

  // Of `host` (a name, or an address without brackets), those that may be connected to: all of them if
  // `any_address`, else the public ones; at most kMaxServerAddresses. ErrorCode::fetch_failed: no address, no
  // answer before `deadline`, none that is permitted.
  [[nodiscard]] Result<std::vector<IpAddress>> find(const std::string& host, bool any_address,
                                                    Deadline deadline) const;
  [[nodiscard]] bool is_public(const IpAddress& address) const { return rules_.kind(address).empty(); }

 private:
  struct State;
  [[nodiscard]] Result<std::vector<IpAddress>> look_up(const std::string& host, Deadline deadline) const;
  AddressRules rules_;
  // Shared with the threads: they may outlive this object.
  std::shared_ptr<State> state_;
};
inline constexpr int kMaxLookUps = 16;
inline constexpr std::size_t kMaxServerAddresses = 4;

}  // namespace oakgate::pki
