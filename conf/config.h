// The configuration as the daemon uses it: validated, typed, every reference resolved, every default filled
// in. oakgate.yaml(5) says what each field means to an operator. conf/load.h makes it; nothing here reads
// files.
//
// No secret is in it: a pre-shared key is named by its source (conf/secrets.h loads it).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/policy.h"

namespace oakgate::conf {

// Where something stands in the configuration file, from 1; line 0: nowhere in particular.
struct Position {
  int line = 0;
  int column = 0;
};

enum class DataPlaneChoice : std::uint8_t { automatic, kernel, software };
enum class NatTraversal : std::uint8_t { rfc, off };  // RFC 3947, or none

struct GatewayConfig {
  std::string name;                  // empty: the host's name
  std::optional<Identity> identity;  // none: the address that the exchange uses
  std::vector<IpAddress> listen;     // empty: every local address
  DataPlaneChoice data_plane = DataPlaneChoice::automatic;
  std::string control_socket = "/run/oakgate/control.sock";
  std::string state_dir = "/var/lib/oakgate";
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

struct TunnelConfig {
  std::string name;
  std::vector<SelectorPair> pairs;  // every local with every remote, in the order written; no two equal
  std::vector<TransformSet> transform_sets;  // in order of preference, at least one
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  StartMode start = StartMode::on_traffic;  // of a range or `any`: always responder
  std::uint32_t replay_window = 64;         // packets
  Position position;
};

struct PeerConfig {
  std::string name;
  PeerAddress address;
  std::optional<Identity> identity;    // what it must prove to be; none: the address it sends from
  std::vector<IsakmpPolicy> policies;  // lowest number first, at least one
  PskSource pre_shared_key;
  std::optional<WeakWaiver> allow_weak;
  NatTraversal nat_traversal = NatTraversal::rfc;
  std::vector<TunnelConfig> tunnels;  // in the order written, at least one
  Position position;
};

struct Config {
  GatewayConfig gateway;
  std::vector<IsakmpPolicy> policies;        // lowest number first
  std::vector<TransformSet> transform_sets;  // in the order written
  std::vector<PeerConfig> peers;             // in the order written
};

}  // namespace oakgate::conf
