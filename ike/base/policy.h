// What an operator decides, as plain values: ISAKMP policies, transform sets, identities, waivers, life
// times. conf/ makes them, the protocol obeys them, log and commands print them with the functions below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/net.h"
#include "ike/base/types.h"

namespace oakgate {

// `crypto isakmp policy N`. `number` is also the priority: the lowest is tried first.
struct IsakmpPolicy {
  std::uint16_t number = 0;
  IkeCipher encryption{};
  IkeHash hash{};
  DhGroup group{};
  AuthMethod authentication{};
  Seconds lifetime{86400};
  friend bool operator==(const IsakmpPolicy&, const IsakmpPolicy&) = default;
};

enum class IpsecProtocol : std::uint8_t { ah = 51, esp = 50, comp = 108 };  // IP protocol numbers
[[nodiscard]] std::string_view protocol_name(IpsecProtocol protocol);       // "AH", "ESP", "IPComp"
enum class EncapsulationMode : std::uint8_t { tunnel, transport };

// Which protocols protect a packet. Of both, ESP is applied first and AH goes over it: on the wire
// `IP | AH | ESP | inner packet`.
enum class Protection : std::uint8_t { esp, ah, ah_esp };

// `crypto ipsec transform-set NAME ...`: an ESP cipher, AH, or both. `integrity` is ESP's: absent if there is
// no ESP or its cipher is an AEAD, and allowed to be absent under AH.
struct TransformSet {
  std::string name;
  std::optional<EspCipher> cipher;
  std::optional<Integrity> integrity;
  // As negotiated for every protocol of the set. Transport mode is for the gateways' own traffic: for any
  // other pair of selectors, and through a NAT, such a set means tunnel mode, as IOS has it.
  EncapsulationMode mode = EncapsulationMode::tunnel;
  std::optional<Integrity> ah{};
  // IPComp inside the others, in the kernel's data plane alone: the packet is compressed before it is
  // protected.
  std::optional<Compression> compression{};
  [[nodiscard]] Protection protection() const {
    return !ah ? Protection::esp : cipher ? Protection::ah_esp : Protection::ah;
  }
  friend bool operator==(const TransformSet&, const TransformSet&) = default;
};

// Who somebody is, RFC 2407 section 4.6.2. `text` is the host name or user@host, empty for an address. Of a
// distinguished name `text` is its RFC 4514 form and `der` the encoded Name; configured, `der` is empty, and
// so may `text` be: then it is the subject of the certificate that proves it, whatever that is.
enum class IdentityKind : std::uint8_t { address, fqdn, user_fqdn, dn };
struct Identity {
  IdentityKind kind = IdentityKind::address;
  IpAddress address;
  std::string text;
  std::vector<std::uint8_t> der{};
  // "192.0.2.1", "hostname:gw-a.example.net", "user-fqdn:x@y", "dn:CN=gw-a,O=corp"
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

struct Lifetime {
  Seconds time{3600};
  Kilobytes kilobytes{4608000};  // 0: no limit
  // Of our own choosing: IKEv1 has no word for it. 0: no limit but the sequence numbers' own.
  std::uint64_t packets = 0;
  friend auto operator<=>(const Lifetime&, const Lifetime&) = default;
};

// `dpd:`, RFC 3706: when a silent peer is asked for a sign of life, and given up. On demand it is asked only
// if traffic goes to it and none comes back, as IOS does by default. timeout > interval.
enum class DpdMode : std::uint8_t { off, on_demand, periodic };
struct DeadPeerDetection {
  DpdMode mode = DpdMode::on_demand;
  Seconds interval{30};  // of silence, before the first R-U-THERE
  Seconds timeout{120};  // of silence in all, before the peer is dead
  friend bool operator==(const DeadPeerDetection&, const DeadPeerDetection&) = default;
};

// `allow_weak`: which weak things one peer may use, until when (the whole of that day, UTC), and why.
struct WeakWaiver {
  std::vector<Weak> algorithms;
  std::optional<std::chrono::sys_days> until;  // none: without end
  std::string reason;
  [[nodiscard]] bool covers(Weak weak) const;
  [[nodiscard]] bool expired(WallTime now) const;
  friend bool operator==(const WeakWaiver&, const WeakWaiver&) = default;
};

enum class StartMode : std::uint8_t { on_traffic, on_start, responder };

// Whether an SA pair is renewed before its end: only if it carried traffic, always, or never.
enum class RekeyMode : std::uint8_t { on_traffic, always, never };

// Which proxy identities of a peer's offer a responder takes: the configured ones, or also any within them.
enum class AcceptMode : std::uint8_t { exact, subset };

// `df_bit`, as IOS's `crypto ipsec df-bit`: the outer IPv4 header's DF bit is the inner packet's (RFC 4301
// section 8.1), or always or never set. Never: packets that do not fit are fragmented on the way.
enum class DfBit : std::uint8_t { copy, set, clear };

// `tcp_mss`, as IOS's `ip tcp adjust-mss`: the MSS option of TCP SYNs, both ways, is made no larger than a
// number of bytes, or than what the SA's path carries in one piece.
struct TcpMss {
  enum class Kind : std::uint8_t { off, clamp, fixed };
  Kind kind = Kind::off;
  std::uint16_t bytes = 0;  // of `fixed`
  friend bool operator==(const TcpMss&, const TcpMss&) = default;
};

// What a tunnel does to the packets it carries, beside protecting them.
struct PacketHandling {
  DfBit df_bit = DfBit::copy;
  bool copy_dscp = true;  // inner DSCP to the outer header (RFC 2983 section 4.1); ECN always: RFC 6040
  TcpMss tcp_mss;
  friend bool operator==(const PacketHandling&, const PacketHandling&) = default;
};

// `mark: VALUE/MASK`: of the packets that a tunnel's selectors hold, those it is for: packet mark & mask ==
// value. Mask 0: all.
struct PacketMark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
  [[nodiscard]] bool all() const { return mask == 0; }
  // Whether one packet can have both.
  [[nodiscard]] bool meets(const PacketMark& other) const {
    return ((value ^ other.value) & mask & other.mask) == 0;
  }
  [[nodiscard]] std::string to_string() const;  // "0x7/0xff"
  friend auto operator<=>(const PacketMark&, const PacketMark&) = default;
};

// `interface`, as IOS's `interface Tunnel0` with `tunnel mode ipsec`: an xfrm device that the daemon makes.
// The tunnel carries what is routed to it, and what it has carried comes from it.
struct InterfaceAddress {
  IpAddress address;
  int prefix = 0;
  friend auto operator<=>(const InterfaceAddress&, const InterfaceAddress&) = default;
};
struct TunnelInterface {
  std::string name;
  std::uint32_t if_id = 0;  // what ties it to SAs and policies; never 0
  std::uint16_t mtu = 0;    // 0: the kernel's own choice
  std::string link;         // the device that its packets leave by; empty: as the routes have it
  std::vector<InterfaceAddress> addresses;
  std::vector<Subnet> routes;  // through it
  friend bool operator==(const TunnelInterface&, const TunnelInterface&) = default;
};

// `offload`: whether a network device ciphers, or does all of IPsec.
enum class Offload : std::uint8_t { none, crypto, packet };

// What ties a tunnel to the rest of the kernel's network. The kernel plane's alone.
struct KernelTies {
  PacketMark mark;
  std::optional<TunnelInterface> interface;
  Offload offload = Offload::none;
  std::string offload_device;  // empty: the one that has the local gateway's address
  [[nodiscard]] std::uint32_t if_id() const { return interface ? interface->if_id : 0; }
  // Traffic comes to it by something beside its selectors: the operator's mark or route.
  [[nodiscard]] bool steered() const { return !mark.all() || interface.has_value(); }
  friend bool operator==(const KernelTies&, const KernelTies&) = default;
};

// Which weak words a choice needs; empty: none.
[[nodiscard]] std::vector<Weak> weak_things(const IsakmpPolicy& policy);
[[nodiscard]] std::vector<Weak> weak_things(const TransformSet& set, std::optional<DhGroup> pfs);

// "aes-256 sha256 group14 pre-share" and "ah-sha-hmac esp-aes-256 esp-sha256-hmac comp-deflate transport", as
// the configuration spells them; tunnel mode is not named.
[[nodiscard]] std::string to_string(const IsakmpPolicy& policy);
[[nodiscard]] std::string to_string(const TransformSet& set);

// The set as a peer carries it that cuts HMAC-SHA2-256 at 96 bits, as some IOS releases do (RFC 4868
// section 2.3: 128): on the wire of IKE the two are one number, so the operator has to say it.
[[nodiscard]] TransformSet with_sha256_96(TransformSet set);

}  // namespace oakgate
