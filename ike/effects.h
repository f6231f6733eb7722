// What the core wants done, in order, and what comes back. The daemon carries effects out on sockets, the
// data plane and the worker pool; the simulator on a virtual network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/base/types.h"
#include "ike/config.h"
#include "ike/crypto/dh.h"
#include "ike/events.h"
#include "ike/kept_pair.h"
#include "ike/ports/data_plane.h"
#include "ike/ports/peer_verifier.h"

namespace oakgate::ike {

inline constexpr std::uint16_t kIkePort = 500;
inline constexpr std::uint16_t kNatTraversalPort = 4500;

using JobId = StrongNumber<struct JobIdTag, std::uint64_t>;
using CommandId = StrongNumber<struct CommandIdTag, std::uint64_t>;  // chosen by the daemon; 0: nobody waits

// ---- Effects -------------------------------------------------------------------------------------------

// Send from `local` (address and port) to `remote`. On port 4500 (`local.port == kNatTraversalPort`) the
// daemon puts the non-ESP marker before the data, unless it is a NAT keep-alive (the single byte 0xff, RFC
// 3948 section 2.3).
struct SendDatagram {
  Endpoint local;
  Endpoint remote;
  Bytes data;
  bool keepalive = false;
};

// Slow work for the worker pool; answered by JobDone with the same id, in any order.
struct DhGenerate {
  DhGroup group{};
};
struct DhShared {
  crypto::DhKeyPair ours;  // secret
  Bytes peer_public;
};
struct PreSharedKeyPrf {
  std::string peer;
  IkeHash prf{};
  Bytes data;
};
// KeyStore::sign.
struct Sign {
  std::string key;
  Bytes hash;
};
// To a peer's RSA key, each content in a block of its own (PKCS#1 type 2).
struct EncryptBlocks {
  Bytes spki;
  std::vector<SecretBytes> contents;
};
// KeyStore::decrypt, block by block.
struct DecryptBlocks {
  struct Block {
    Bytes data;
    std::size_t at_least = 0;
    std::size_t at_most = 0;
  };
  std::string key;
  std::vector<Block> blocks;
};
using Job = std::variant<DhGenerate, DhShared, PreSharedKeyPrf, Sign, EncryptBlocks, DecryptBlocks>;
struct StartJob {
  JobId id;
  Job job;
};
// May take long: revocation information may have to be fetched. Answered by JobDone with the same id.
struct VerifyPeer {
  JobId id;
  PeerProof proof;
};

// Answered by SasInstalled with the same id.
struct InstallSas {
  JobId id;
  std::vector<SaSpec> sas;
};
struct RemoveSas {
  std::vector<SaId> sas;
};
// They go on at the peer's new place (DataPlane::move); answered by SasMoved with the same id.
struct MoveSas {
  JobId id;
  std::vector<SaMove> sas;
};
// What these SAs have carried; answered by TrafficCounted with the same id.
struct CountTraffic {
  JobId id;
  std::vector<SaId> sas;
};
struct Protect {
  ProtectPolicy policy;
};
struct Unprotect {
  Reqid reqid;
};
// With EngineConfig::keep: what is to be remembered beyond this run, in place of what was remembered under
// the same inbound SA; and what is not any more.
struct KeepPair {
  KeptPair pair;
};
struct ForgetPair {
  SaId in;
};
struct Raise {
  Event event;
};
// The outcome of a command that carried an id other than 0. Exactly once for each.
struct CommandDone {
  CommandId id;
  Result<void> result;
};

using Effect = std::variant<SendDatagram, StartJob, VerifyPeer, InstallSas, RemoveSas, MoveSas, CountTraffic,
                            Protect, Unprotect, KeepPair, ForgetPair, Raise, CommandDone>;
using Effects = std::vector<Effect>;

// ---- Inputs --------------------------------------------------------------------------------------------

struct Datagram {
  Endpoint local;   // where it arrived
  Endpoint remote;  // whence it came
  ByteView data;    // the ISAKMP message: the non-ESP marker is already off
};

// DhGenerate: DhKeyPair (secret). DhShared: g^xy; PreSharedKeyPrf: SKEYID (secret). Sign: Bytes.
// EncryptBlocks: a Bytes each. DecryptBlocks: a SecretBytes each. VerifyPeer: PeerVerdict.
using JobOutput = std::variant<crypto::DhKeyPair, SecretBytes, Bytes, std::vector<Bytes>,
                               std::vector<SecretBytes>, PeerVerdict>;
struct JobDone {
  JobId id;
  Result<JobOutput> result;
};
struct SasInstalled {
  JobId id;
  Result<void> result;
};
struct SasMoved {
  JobId id;
  Result<void> result;
};
struct TrafficCounted {
  JobId id;
  Result<std::vector<SaCounters>> counters;  // in the order asked
};
using Completion = std::variant<JobDone, SasInstalled, SasMoved, TrafficCounted>;

// Bring every pair of a peer, or of one of its tunnels, up. Done when all are up, or with the first failure.
struct Up {
  CommandId id;
  std::string peer;
  std::string tunnel;  // empty: all
};
// Delete SAs, tell the peer, and do not start by ourselves until Up.
struct Down {
  CommandId id;
  std::string peer;
  std::string tunnel;  // empty: all, and phase 1
};
// Delete SA pairs and tell the peer, but hold nothing down: what starts by itself, or on traffic, comes up
// again. With `sa` only the pair that has it, a bundle's other SAs included.
struct ClearSas {
  std::string peer;
  std::string tunnel{};  // empty: all
  std::optional<SaId> sa{};
};
// The same of IKE SAs, negotiations under way included; the SA pairs stay. With `cookies` only that one.
struct ClearIkeSas {
  std::string peer;
  std::optional<CookiePair> cookies{};
};
// Where a peer is and which local address reaches it. Absent: not known (now), so nothing is started.
// `called_from` replaces the configuration's for a peer named by host name.
struct SetPeerAddresses {
  std::string peer;
  std::optional<IpAddress> local;
  std::optional<IpAddress> remote;
  std::optional<std::vector<Subnet>> called_from;
};
// A trustpoint's certificates as they are now; before the first one a trustpoint has none.
struct SetTrustpoint {
  TrustpointState state;
};
// A CRL that has just come revokes the certificate that a peer proved itself with: its SAs are deleted at
// both ends, and `error` is why.
struct PeerRevoked {
  std::string peer;
  Error error;
};
// A new configuration: unchanged peers are left alone, changed ones start anew, removed ones are taken down.
struct Reconfigure {
  EngineConfig config;
};
// Delete everything at the peers; afterwards only completions are accepted.
struct Shutdown {
  CommandId id;
};
// The daemon ends, and its SAs stay: nobody is told, what is under way is given up, a renewed SA pair sends
// at once. Afterwards only completions are accepted.
struct Suspend {
  CommandId id;
};
// From the data plane.
struct Acquire {
  Reqid reqid;
};
struct SoftLimitReached {
  SaId sa;
  Reqid reqid;
};
struct SaExpired {
  SaId sa;
  Reqid reqid;
};
// ESP or AH came for an SPI that nobody has here. Anybody can send that.
struct UnknownSpi {
  IpAddress local;
  IpAddress remote;
  IpsecProtocol protocol = IpsecProtocol::esp;
  Spi spi;
};
// An authentic packet of this inbound SA, in UDP, came from somewhere else than before (RFC 3948 section 4).
struct PeerMoved {
  SaId sa;
  Reqid reqid;
  Endpoint remote;
};
using Command =
    std::variant<Up, Down, ClearSas, ClearIkeSas, SetPeerAddresses, SetTrustpoint, PeerRevoked, Reconfigure,
                 Shutdown, Suspend, Acquire, SoftLimitReached, SaExpired, UnknownSpi, PeerMoved>;

}  // namespace oakgate::ike
