// DataPlane: what carries the protected traffic. Two implementations (xfrm/kernel, xfrm/soft), one contract,
// the same tests against both. Plain values only, so that it can live in another process.
//
// Life of a tunnel in it:
//   protect(policy)   From configuration on the selector pair is guarded (RFC 4301 section 4.4.1): outbound
//                     traffic finds an SA, raises `acquire`, or is dropped; inbound plaintext is dropped.
//   install(sas)      Keys arrive: inbound SAs first, then outbound. The newest outbound SA carries.
//   remove(sas)       Old ones go; the policy stays and guards.
//   unprotect(reqid)  The tunnel left the configuration, or the daemon ends.
//
// AH and ESP together (RFC 4301 appendix E, the bundles of RFC 2401 section 4.3) are two SAs a direction with
// the same reqid, selectors and addresses, each naming the other in `bundle`, installed in one call. ESP has
// the mode that was negotiated and is applied first; AH always goes over it in transport mode, so that a
// packet is `IP | AH | ESP | inner packet` with one outer header. Inbound, ESP of a bundle is taken only out
// of an AH packet that verified, of an SA of the same reqid, and that AH carries nothing but ESP.
//
// IPComp (RFC 3173), kernel plane only, is one more SA a direction, installed in the same call, whose SPI is
// the CPI. It takes the inner packets and has the mode that was negotiated; what protects them then is over
// it
// (`over_ipcomp`), in transport mode: `IP | AH | ESP | IPComp | inner packet`. A packet that compression does
// not make smaller travels without the IPComp header, and is taken so (RFC 3173 section 2.2).
//
// Transport mode: the selectors' addresses are the SA's own two, source and destination.
//
// Threads: every function is called on the daemon's loop thread. An implementation may run worker threads;
// what they have to say waits behind fd() until dispatch() hands it to the listener, on the loop thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/base/types.h"
#include "ike/ports/drop_reasons.h"

namespace oakgate {

enum class Direction : std::uint8_t { in, out };

// UDP encapsulation of one SA; ports in host order, as seen by this gateway: `local` is ours. RFC 3948, or
// with `non_ike_marker` its drafts 00 and 01: on the IKE port, ESP behind 8 zero bytes.
struct UdpEncapsulation {
  std::uint16_t local_port = 4500;
  std::uint16_t remote_port = 4500;
  bool non_ike_marker = false;
  friend auto operator<=>(const UdpEncapsulation&, const UdpEncapsulation&) = default;
};

// An SA's name: RFC 4301 section 4.1. `destination` is the local gateway for `in`, the remote one for `out`.
struct SaId {
  IpAddress destination;
  IpsecProtocol protocol = IpsecProtocol::esp;
  Spi spi;
  friend auto operator<=>(const SaId&, const SaId&) = default;
};

// Everything an SA needs, keys included: secret, therefore move-only.
struct SaSpec {
  Direction direction{};
  SaId id;
  IpAddress source;  // outer source address
  Reqid reqid;
  SelectorPair selectors;                              // `local` is our LAN whatever the direction
  EncapsulationMode mode = EncapsulationMode::tunnel;  // AH over ESP: transport
  EspCipher cipher{};                                  // of ESP only
  std::optional<Compression> compression{};            // of IPComp only, which has no keys and no window
  bool over_ipcomp = false;  // ESP or AH: what it carries has been through the IPComp SA of the same reqid
  std::optional<Integrity> integrity;  // AH: always. ESP: absent if the cipher is an AEAD, or AH covers it
  SecretBytes encryption_key;          // info(cipher).key_bytes + salt_bytes, key first; of ESP only
  SecretBytes integrity_key;           // info(integrity).key_bytes
  std::optional<SaId> bundle{};        // the other SA, of the other protocol
  std::uint16_t replay_window = 64;    // packets; `in` only
  bool esn = false;  // 64-bit sequence numbers: RFC 4303 section 2.2.1, RFC 4302 section 2.5.1
  // The last sequence number that was used, or seen: 0 for a new SA.
  std::uint64_t last_sequence = 0;
  PacketHandling handling{};  // what a plane cannot do is ErrorCode::unsupported
  KernelTies ties{};          // likewise
  std::optional<UdpEncapsulation> encapsulation;
  // Limits; 0: none. Past a hard one the SA carries nothing and is gone (`on_expired`). Past the soft one it
  // goes on carrying and `on_soft_limit` is raised once, so that the protocol renews it. (Soft time is the
  // protocol's own.) In a bundle the kilobytes are ESP's; AH's time ends with it.
  Seconds hard_time{0};
  Kilobytes hard_kilobytes{0};
  Kilobytes soft_kilobytes{0};
  // Likewise, in packets. Beside the hard one, an SA ends when its sequence numbers do, RFC 4303 section
  // 3.3.3.
  std::uint64_t hard_packets = 0;
  std::uint64_t soft_packets = 0;
};

// An SA whose peer's end is elsewhere now: DataPlane::move.
struct SaMove {
  SaId id;          // as it was until now
  Endpoint remote;  // the outer address, and the UDP port
  friend bool operator==(const SaMove&, const SaMove&) = default;
};

// One selector pair between two gateways: configured, or a part of such a one that the peer has narrowed. Of
// pairs that hold a packet both, the narrower one decides; ranges count as the subnets they consist of.
struct ProtectPolicy {
  Reqid reqid;
  SelectorPair selectors;
  IpAddress local_gateway;
  std::optional<IpAddress> remote_gateway;  // unknown until a host name resolved or a responder was called
  EncapsulationMode mode = EncapsulationMode::tunnel;
  bool acquire = false;  // raise `acquire` for outbound traffic without an SA
  // What inbound traffic must have been protected by and outbound will be, and `mode`: of the newest SAs, or
  // as configured before there are any.
  Protection protection = Protection::esp;
  bool compression = false;  // likewise: IPComp inside it
  KernelTies ties{};         // steered: the plane makes no routes for the selectors, the operator does
  friend bool operator==(const ProtectPolicy&, const ProtectPolicy&) = default;
};

struct SaCounters {
  SaId id;
  std::uint64_t bytes = 0;  // of inner packets; over IPComp: of what that makes of them
  // IPComp: `out` those that were given to it, `in` those that came with its header.
  std::uint64_t packets = 0;
  std::uint64_t replayed = 0;           // `in`: dropped by the anti-replay window
  std::uint64_t not_authentic = 0;      // `in`: tag did not verify
  std::uint64_t selector_mismatch = 0;  // inner packet outside the selectors
  std::uint64_t sequence = 0;           // the last number used, or the highest that was authentic
};

// What happened inside the plane. Called only from dispatch().
class DataPlaneListener {
 public:
  virtual ~DataPlaneListener() = default;
  // Outbound traffic met a policy with `acquire` and no SA. Rate-limited by the plane: at most one a second a
  // reqid.
  virtual void on_acquire(Reqid reqid) = 0;
  // The soft limit of kilobytes or packets was reached, once an SA.
  virtual void on_soft_limit(const SaId& id, Reqid reqid) = 0;
  // Said right before on_expired: what the SA had counted. Never said of an SA that a plane lost sight of.
  virtual void on_last_counts(const SaCounters& /*counts*/) {}
  // A hard limit was reached; the SA is gone from the plane.
  virtual void on_expired(const SaId& id, Reqid reqid) = 0;
  // An authentic packet of an inbound SA in UDP came from elsewhere than the SA says (RFC 3948 section 4: a
  // NAT has changed its translation). Repeated, though not for each packet, while that lasts.
  virtual void on_peer_moved(const SaId& id, Reqid reqid, const Endpoint& remote) = 0;
  // ESP or AH to an SPI that is not here; anybody can send that. Rate-limited by the plane. Software plane
  // only: the kernel tells nobody.
  virtual void on_unknown_spi(const SaId& id, const IpAddress& remote) = 0;
  // Software plane only: it reads the encapsulation socket, and this datagram began with the non-ESP marker
  // (RFC 3948 section 2.2), which has been taken off.
  virtual void on_ike_datagram(const Endpoint& local, const Endpoint& remote, ByteView datagram) = 0;
  // Something an operator should know (a worker's socket failed, a queue overflowed); already rate-limited.
  virtual void on_warning(const Error& error) = 0;
};

class DataPlane {
 public:
  virtual ~DataPlane() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  // "kernel" or "software", as in `status --json`
  // Threads of this process that carry packets; 0: the kernel does.
  [[nodiscard]] virtual unsigned workers() const { return 0; }

  // Readable when dispatch() has something to do. Valid for the plane's life.
  [[nodiscard]] virtual int fd() const = 0;
  virtual void dispatch(DataPlaneListener& listener) = 0;

  // Every socket that carries IKE: the protected selectors must never swallow it, on either direction.
  [[nodiscard]] virtual Result<void> exempt_socket(int socket_fd, Family family) = 0;
  // A bound UDP socket that carries ESP beside IKE: on the encapsulation port (4500), or, with
  // `non_ike_marker`, on the IKE port (500), as drafts 00 and 01 of NAT traversal have it (UdpEncapsulation).
  // SAs of the one form never use sockets of the other. The kernel plane has the kernel take ESP off it
  // (ErrorCode::unsupported: newer kernels than 6.9 know no non-IKE marker any more) and the daemon goes on
  // reading IKE from it. The software plane duplicates the descriptor, reads it from now on
  // (reads_encapsulation_socket() is true), and hands IKE up through on_ike_datagram.
  // Both send ESP from it. `local` is the address the socket is bound to: any, or one of ours.
  [[nodiscard]] virtual Result<void> attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                                 bool non_ike_marker) = 0;
  virtual void detach_encapsulation_socket(int socket_fd) = 0;
  [[nodiscard]] virtual bool reads_encapsulation_socket() const = 0;

  // Adds, or replaces the one with the same reqid (new gateway addresses, say) without an unguarded moment.
  // After an error the plane goes on trying by itself, until unprotect(); unless another reqid has the same
  // selectors (ErrorCode::in_use).
  [[nodiscard]] virtual Result<void> protect(const ProtectPolicy& policy) = 0;
  [[nodiscard]] virtual Result<void> unprotect(Reqid reqid) = 0;

  // All or none: on an error nothing of the batch stays. An SaId that is already there is ErrorCode::in_use.
  [[nodiscard]] virtual Result<void> install(std::span<const SaSpec> sas) = 0;
  // Removing what is not there is no error: it may just have expired.
  [[nodiscard]] virtual Result<void> remove(std::span<const SaId> sas) = 0;
  // SAs of a peer behind a NAT that has given it another outer address or port (RFC 3948 section 4) go on
  // there, with their keys, sequence numbers (which may skip some), windows, counts and limits. Of an
  // outbound one the name changes with the destination. ESP in UDP in tunnel mode, and the IPComp in it;
  // their policy has been moved before, by protect(), so that nothing goes to the old place meanwhile. On an
  // error each of them is where it was, or gone. ErrorCode::not_found: one is not there; unsupported: a
  // network device ciphers it.
  [[nodiscard]] virtual Result<void> move(std::span<const SaMove> sas) = 0;
  // In the order asked; an SA that is not there yields its id with zeros.
  [[nodiscard]] virtual Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) = 0;

  // What the plane has dropped since it began, each reason once, in the order of the table. Of the kernel
  // plane it is the whole network namespace's, other programs' SAs too: the kernel keeps no other count.
  [[nodiscard]] virtual Result<DropCounts> drops() = 0;

  // A clean end: SAs, policies, routes and devices of ours are taken away. (After a kill -9 instead, the
  // unreachable routes and the inbound policies stay: nothing leaks. The next start adopts or replaces them.)
  virtual void shut_down() = 0;
};

}  // namespace oakgate
