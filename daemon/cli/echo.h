// ICMP and ICMPv6 echoes from one address to another, never fragmented here. Every wait is bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::cli {

inline constexpr std::size_t kSmallEcho = 84;  // IP header included: what ping(8) sends over IPv4
inline constexpr Milliseconds kEchoPatience{1000};

struct EchoOutcome {
  bool answered = false;
  std::chrono::microseconds round_trip{0};
  bool too_big = false;   // the machine or a router on the way said so
  std::string complaint;  // what an ICMP error or the kernel said; empty: nothing
};

class EchoSocket {
 public:
  // Needs CAP_NET_RAW: ErrorCode::not_permitted. `source` is an address of this machine, in the network
  // namespace of this process.
  [[nodiscard]] static Result<EchoSocket> open(const IpAddress& source, const IpAddress& destination);
  // One echo request of `size` bytes, IP header included, and its answer.
  [[nodiscard]] EchoOutcome ask(std::size_t size, Milliseconds patience);
  // Of the path as far as the kernel knows it by now.
  [[nodiscard]] std::size_t known_mtu() const;

 private:
  EchoSocket(UniqueFd fd, Family family, std::uint16_t id) : fd_(std::move(fd)), family_(family), id_(id) {}
  [[nodiscard]] bool is_answer(ByteView packet) const;
  void read_errors(EchoOutcome& outcome) const;

  UniqueFd fd_;
  Family family_;
  std::uint16_t id_;
  std::uint16_t sequence_ = 0;
};

// The largest packet that is answered, from `good` (that is) on; at most 32 echoes. `ask` sends one of that
// size.
struct PathMtu {
  std::size_t bytes = 0;
  int echoes = 0;
};
[[nodiscard]] PathMtu find_path_mtu(std::size_t good, std::size_t at_most,
                                    const std::function<EchoOutcome(std::size_t)>& ask,
                                    const std::function<std::size_t()>& known_mtu);

}  // namespace oakgate::cli
