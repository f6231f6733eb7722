// The configuration as the daemon uses it: validated, typed, every reference resolved, every default filled
// in. oakgate.yaml(5) says what each field means to an operator. conf/load.h makes it; nothing here reads
// files.
//
// No secret is in it: a pre-shared key is named by its source, a private key by its file (conf/secrets.h
// loads both).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conf/ssh.h"
#include "ike/base/nat_forms.h"
#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/trust.h"

namespace oakgate::conf {

// Where something stands in the configuration file, from 1; line 0: nowhere in particular.
struct Position {
  int line = 0;            // from 1; 0: the file as a whole
  int column = 0;          // from 1
  std::uint16_t file = 0;  // in Config::files
};

// What becomes of SAs and policies in the kernel when the daemon ends.
enum class OnExit : std::uint8_t { remove, keep };

// `capture:`, what `oakgate capture` is given.
enum class CaptureChoice : std::uint8_t { off, packets, keys };
// `diffie_hellman:`, how the computations of negotiations that run at the same time are done
// (crypto/modp_batch.h).
enum class DhChoice : std::uint8_t { batched, single };

enum class DataPlaneChoice : std::uint8_t { automatic, kernel, software };

// `half_open:`, what a responder puts up with before its peers are authenticated.
struct HalfOpenLimits {
  std::uint32_t total = 1024;
  std::uint32_t per_source = 16;
  std::uint32_t aggressive_per_minute = 60;
  friend bool operator==(const HalfOpenLimits&, const HalfOpenLimits&) = default;
};

// `metrics:`, where they may be read: one of the two.
struct MetricsAddress {
  std::string socket;  // a Unix socket's path
  Endpoint endpoint;   // loopback only
  friend bool operator==(const MetricsAddress&, const MetricsAddress&) = default;
};

// `updown:`, a program that is run when a tunnel comes up and goes down.
struct HookConfig {
  std::string file;  // absolute
  Position position;
};

struct GatewayConfig {
  std::string name;                  // empty: the host's name
  std::optional<Identity> identity;  // none: the address that the exchange uses
  std::vector<IpAddress> listen;     // empty: every local address
  DataPlaneChoice data_plane = DataPlaneChoice::automatic;
  std::optional<unsigned> workers;  // of the software plane, 1 to 64; none: by the processors there are
  OnExit on_exit = OnExit::remove;  // keep: not with the software plane
  std::string control_socket = "/run/oakgate/control.sock";
  std::string control_group;  // who may look there besides root; empty: the group oakgated runs as
  std::string state_dir = "/var/lib/oakgate";
  HalfOpenLimits half_open;
  std::optional<MetricsAddress> metrics;  // none: off
  std::optional<HookConfig> updown;       // of tunnels that say nothing
  CaptureChoice capture = CaptureChoice::off;
  DhChoice diffie_hellman = DhChoice::batched;
};

// Where a peer may send from. Only an address or a host name can be called; a range or `any` only answers.
struct PeerAddress {
  enum class Kind : std::uint8_t { address, host_name, range, any };
  Kind kind = Kind::address;
  std::string host_name;  // kind host_name: lower case
  IpAddress first;        // kind address and range; inclusive, of one family
  IpAddress last;
  // Whether the peer is fixed enough that we can start a negotiation with it.
  [[nodiscard]] bool callable() const { return kind == Kind::address || kind == Kind::host_name; }
  // Whether packets from `address` can be this peer's. A host name contains nothing until it is resolved.
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] std::string to_string() const;  // as the configuration spells it
  friend auto operator<=>(const PeerAddress&, const PeerAddress&) = default;
};

// Where a pre-shared key comes from; never the key.
struct PskSource {
  enum class Kind : std::uint8_t { file, credential };
  Kind kind = Kind::file;
  std::string
      name;  // the file's path, already relative to the configuration's folder; or the credential's name
  Position position;
};

// `rsa_encr:`, RSA-encrypted nonces in both their modes. The names are declared ones.
struct RsaEncryptionConfig {
  std::vector<std::string> peer_keys;  // in `public_keys:`, at least one; the first is the one we begin with
  std::string own_key;                 // in `keys:`
  SkeyidForm skeyid = SkeyidForm::automatic;
  Position position;
};

struct TunnelConfig {
  std::string name;
  std::vector<SelectorPair> pairs;  // every local with every remote, in the order written; no two equal
  // In order of preference, at least one; as the peer's `sha256_truncation` has them.
  std::vector<TransformSet> transform_sets;
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  StartMode start = StartMode::on_traffic;  // of a range or `any`: always responder
  RekeyMode rekey = RekeyMode::on_traffic;
  std::uint32_t replay_window = 64;  // packets
  bool esn = false;                  // extended sequence numbers, RFC 4304
  PacketHandling handling;
  KernelTies ties;
  AcceptMode accept = AcceptMode::exact;
  std::optional<HookConfig> updown;  // its own, or else the peer's, or else the gateway's
  Position position;
};

struct PeerConfig {
  std::string name;
  PeerAddress address;
  std::optional<Identity> identity;  // what it must prove to be; none: the address it sends from
  // Lowest number first, at least one; each of a method that the peer has the means for.
  std::vector<IsakmpPolicy> policies;
  std::optional<PskSource> pre_shared_key;
  std::string trustpoint;  // a declared one with a certificate of ours; empty: none
  std::optional<RsaEncryptionConfig> rsa_encr;
  bool aggressive = false;
  SendCertificate send_certificate = SendCertificate::on_request;
  std::optional<WeakWaiver> allow_weak;
  NatTraversal nat_traversal = NatTraversal::rfc;
  bool fragmentation = true;
  DeadPeerDetection dpd;
  std::vector<TunnelConfig> tunnels;  // in the order written, at least one
  Position position;
};

// Everything in the order written, but the policies: lowest number first.
struct Config {
  std::vector<std::string> files;  // the one that was loaded, and what it includes
  GatewayConfig gateway;
  std::vector<IsakmpPolicy> policies;
  std::vector<TransformSet> transform_sets;
  std::vector<TrustpointConfig> trustpoints;
  std::vector<KeyConfig> keys;
  std::vector<PublicKeyConfig> public_keys;
  std::vector<PeerConfig> peers;
  std::optional<SshConfig> ssh;
  // Where what has no position of its own stands, by key path: "keys.gw-a", "trustpoints.corp.key".
  std::map<std::string, Position, std::less<>> positions;
};

// Every private key the configuration names, once: those under `keys:` and the trustpoints' own.
[[nodiscard]] std::vector<KeyConfig> all_keys(const Config& config);
// Where `key_path`, or else what it is in, stands.
[[nodiscard]] Position position_of(const Config& config, std::string_view key_path);
// The KeyConfig's key path.
[[nodiscard]] std::string key_path(const KeyConfig& key, const Config& config);
// Nothing if there is none of that name.
[[nodiscard]] const TrustpointConfig* find_trustpoint(const Config& config, std::string_view name);
[[nodiscard]] const KeyConfig* find_key(const Config& config, std::string_view name);

}  // namespace oakgate::conf
