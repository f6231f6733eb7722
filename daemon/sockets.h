// The UDP sockets of IKE: ports 500 and 4500 of every address, or of the listed ones. Knows the local address
// of each datagram (IP_PKTINFO), and the non-ESP marker of port 4500 (RFC 3948 section 2.2). No protocol.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/effects.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

struct UdpPorts {
  std::uint16_t ike = ike::kIkePort;
  std::uint16_t nat_traversal = ike::kNatTraversalPort;
};

struct UdpSocket {
  UniqueFd fd;
  Endpoint bound;
  bool encapsulation = false;  // the port that carries ESP too
};

class UdpSockets {
 public:
  using Receiver = std::function<void(const ike::Datagram&)>;

  // An empty `listen` takes every local address; a kernel without IPv6 is no error then. A listed address
  // need not be there yet (IP_FREEBIND). ErrorCode::in_use names who holds the port if /proc tells.
  [[nodiscard]] static Result<std::unique_ptr<UdpSockets>> open(std::span<const IpAddress> listen,
                                                                const UdpPorts& ports = {});

  [[nodiscard]] std::span<const UdpSocket> all() const { return sockets_; }

  // Hands up what waits in `socket`, one batch at most, so that a flood cannot keep the loop from its other
  // work. NAT keep-alives, ESP and datagrams too long for IKE go no further.
  void receive(const UdpSocket& socket, const Receiver& receiver);

  // `local` chooses socket and source address. Puts the non-ESP marker in front on the encapsulation port
  // unless it is a keep-alive.
  [[nodiscard]] Result<void> send(const ike::SendDatagram& datagram) const;

 private:
  explicit UdpSockets(const UdpPorts& ports);
  [[nodiscard]] Result<void> add(const IpAddress& address, std::uint16_t port, bool listed);
  [[nodiscard]] const UdpSocket* socket_for(const Endpoint& local) const;

  struct Batch;  // the receive buffers
  struct BatchFree {
    void operator()(Batch* batch) const;
  };
  UdpPorts ports_;
  std::vector<UdpSocket> sockets_;
  std::unique_ptr<Batch, BatchFree> batch_;
};

// "charon (pid 812)": who holds a UDP port of this network namespace, as far as /proc lets us see; empty
// otherwise.
[[nodiscard]] std::string holder_of_udp_port(std::uint16_t port);

}  // namespace oakgate
