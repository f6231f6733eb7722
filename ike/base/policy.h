// What an operator decides, as plain values: ISAKMP policies, transform sets, identities, waivers, life
// times. conf/ makes them, the protocol obeys them, log and commands print them with the functions below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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

enum class EncapsulationMode : std::uint8_t { tunnel };

// `crypto ipsec transform-set NAME ...`. `integrity` is absent exactly if the cipher is an AEAD.
struct TransformSet {
  std::string name;
  EspCipher cipher{};
  std::optional<Integrity> integrity;
  EncapsulationMode mode = EncapsulationMode::tunnel;
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

// Which proxy identities a responder takes: the configured ones, or a part of them, too.
enum class AcceptMode : std::uint8_t { exact, subset };

// Which weak words a choice needs; empty: none.
[[nodiscard]] std::vector<Weak> weak_things(const IsakmpPolicy& policy);
[[nodiscard]] std::vector<Weak> weak_things(const TransformSet& set, std::optional<DhGroup> pfs);

// "aes-256 sha256 group14 pre-share" and "esp-aes-256 esp-sha256-hmac", as the configuration spells them.
[[nodiscard]] std::string to_string(const IsakmpPolicy& policy);
[[nodiscard]] std::string to_string(const TransformSet& set);

// The set as a peer carries it that cuts HMAC-SHA2-256 at 96 bits, as some IOS releases do (RFC 4868
// section 2.3: 128): on the wire of IKE the two are one number, so the operator has to say it.
[[nodiscard]] TransformSet with_sha256_96(TransformSet set);

}  // namespace oakgate
