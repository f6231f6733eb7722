// The outer side: raw protocol-50 and -51 sockets and the daemon's UDP encapsulation sockets, in batches
// (recvmmsg, sendmmsg), never blocking. Used by one worker.
//
// Native ESP: IPv4 goes out of one of two sockets, with DF by path MTU discovery, or without; the kernel
// fragments a datagram that is larger than the path. IPv6 likewise by its fragment header. Incoming fragments
// are reassembled by the kernel before they arrive here. Native AH over IPv4 goes out with the header that it
// covers, and so is fragmented here; over IPv6 the kernel's header is what AH was told. In UDP (RFC 3948) the
// daemon's socket decides about DF; by default that is path MTU discovery too. UDP checksums are the
// kernel's: RFC 3948 section 2.1 "SHOULD be transmitted as a zero value" is not followed, receivers must take
// either. Every socket has the bypass mark and policy (xfrm/netlink/xfrm_policy.h): no tunnel swallows its
// own outside.
//
// Encapsulated packets come and go in vectors (UDP_GRO, UDP_SEGMENT: receive_queue.h, send_queue.h); the
// kernel has none for protocols 50 and 51. AF_PACKET instead of raw sockets, measured over a veth in one run
// (Linux 6.18, processor time of both ends, 1440 and 100 bytes, raw sockets with recvmmsg and sendmmsg being
// 1): PACKET_QDISC_BYPASS to send 0.91 and 0.80, a TPACKET_V3 ring to receive 0.89 and 0.96, both 0.74. The
// kernel's own work on what arrives is the most of it, and remains, and a ring's copy with it. AF_XDP
// likewise (copying, as a veth does; the median of five): to send 0.72 and 0.80, to receive 1.09 and 1.06,
// both 0.84 and 0.86; a device that lends its own memory was not to be had. Not worth what raw sockets have:
// firewall rules, reassembly, routing and neighbours, fragmentation are the host's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/receive_queue.h"
#include "xfrm/soft/send_queue.h"

namespace oakgate::soft {

// An IKE message that came to an encapsulation socket; the marker is gone.
using IkeSink = std::function<void(const Endpoint& local, const Endpoint& remote, ByteView datagram)>;

class OuterSockets {
 public:
  // ErrorCode::not_permitted without CAP_NET_RAW. IPv6 is left out on a host without. Without `receives` the
  // raw sockets only send: of several workers one receives.
  [[nodiscard]] static Result<OuterSockets> open(bool receives = true);
  OuterSockets(OuterSockets&&) noexcept;
  OuterSockets& operator=(OuterSockets&&) noexcept;
  ~OuterSockets();

  // Those that may become readable.
  [[nodiscard]] std::vector<int> descriptors() const;

  // `key` names the socket for detach(). Turns the packet information of the datagrams on.
  // With `non_ike_marker` it is one of the IKE port's, where ESP has the marker and not IKE. Without
  // `receives` it is another worker's to read, and to set up.
  [[nodiscard]] Result<void> attach(int key, UniqueFd socket, const Endpoint& local,
                                    bool non_ike_marker = false, bool receives = true);
  void detach(int key);
  // The descriptor of an attached socket, -1 if there is none.
  [[nodiscard]] int attached(int key) const;

  // Reads one batch from `fd`: ESP and AH into `batch`, IKE into `ike`; keep-alives vanish. True: there may
  // be more, and if unfinished() there is: of the same read, so that nothing else may be received before.
  [[nodiscard]] bool receive(int fd, PacketBatch& batch, const IkeSink& ike);
  [[nodiscard]] bool unfinished() const { return !received_->empty(); }
  // In order, as far as one path is concerned.
  SendReport send(std::span<const SealedPacket> packets);
  // To the sender of the packet it is about; this host's routing finds the way and the source address.
  void send_icmp(const IcmpMessage& message);

 private:
  struct Attached {
    int key = -1;
    UniqueFd socket;
    Endpoint local;
    bool non_ike_marker = false;
    bool receives = true;
  };
  explicit OuterSockets(bool receives);
  [[nodiscard]] int socket_for(const SealedPacket& packet) const;
  // AH over IPv4, in pieces that fit.
  void send_fragments(const SealedPacket& packet, SendReport& report);
  void sort_native(const ArrivedDatagram& datagram, int fd, PacketBatch& batch);
  void sort_encapsulated(const ArrivedDatagram& datagram, const Attached& socket, PacketBatch& batch,
                         const IkeSink& ike);

  bool receives_;
  UniqueFd esp4_;           // receives, and sends with DF
  UniqueFd esp4_fragment_;  // sends without DF
  UniqueFd esp6_;
  UniqueFd ah4_;      // receives
  UniqueFd ah6_;      // receives and sends
  UniqueFd header4_;  // sends what has its own IPv4 header
  UniqueFd icmp4_;
  UniqueFd icmp6_;
  std::vector<Attached> attached_;
  std::unique_ptr<ReceiveQueue> received_;
  std::unique_ptr<SendQueue> sender_;
};

// What the kernel knows of the path between two addresses, IP header included; 0: there is no route.
[[nodiscard]] std::size_t query_path_mtu(const OuterPath& path);

}  // namespace oakgate::soft
