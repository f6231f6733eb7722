// What a running configuration says about IPsec, before it becomes ours. Each thing knows the lines it stands
// in. Keys are secret.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conf/cisco/running_config.h"
#include "conf/imported.h"
#include "ike/base/algorithms.h"
#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/secret.h"

namespace oakgate::conf::cisco {

struct PreSharedKey {
  int line = 0;
  std::optional<Subnet> peer;  // whom it is for: an address or network,
  std::string host_name;       // or a name
  SecretBytes key;             // empty: the file does not show it
};

// One `permit`: every source with every destination.
struct AccessEntry {
  int line = 0;
  std::vector<Selector> local;
  std::vector<Selector> remote;
};

struct MapEntry {
  int line = 0;
  std::string map;
  int number = 0;
  bool dynamic = false;  // of a dynamic map: whoever calls
  std::vector<std::string> peers;
  std::vector<std::string> transform_sets;
  std::string access_list;
  std::optional<DhGroup> pfs;
  std::optional<Lifetime> lifetime;
  std::string trustpoint;
  int replay_window = 0;  // packets; 0: not said
};

struct Trustpoint {
  int line = 0;
  std::string name;
  std::string url;
  bool ra = false;
  int retry_count = 0;    // 0: not said
  int retry_minutes = 0;  // 0: not said
  std::string ldap;
  std::string revocation = "crl";
  Bytes ca_certificate;  // DER; empty: not in the file
  Bytes certificate;
};

struct PublicKey {
  int line = 0;
  std::string name;  // a host name or an address
  std::string hexadecimal;
};

struct Interface {
  std::string name;
  std::optional<IpAddress> address;
  std::string crypto_map;
  std::optional<DfBit> df_bit;
  int tcp_mss = 0;  // 0: not said
};

struct Model {
  Dialect dialect = Dialect::ios;
  std::string host_name;
  std::string domain;
  std::optional<std::string> identity;  // "hostname", "address", "dn"
  std::vector<IsakmpPolicy> policies;
  std::vector<std::pair<int, TransformSet>> transform_sets;  // with their lines
  std::vector<PreSharedKey> keys;
  std::map<std::string, std::vector<AccessEntry>, std::less<>> access_lists;
  std::vector<MapEntry> maps;
  std::vector<Trustpoint> trustpoints;
  std::vector<PublicKey> public_keys;
  std::vector<Interface> interfaces;
  std::optional<DeadPeerDetection> dpd;
  std::optional<bool> nat_traversal;
  Lifetime lifetime;            // of maps that say nothing
  std::optional<DfBit> df_bit;  // of interfaces that say nothing
  int replay_window = 0;        // of maps that say nothing; 0: not said
  int tcp_mss = 0;              // likewise, of a device that has it for all
  std::vector<Note> notes;
};

// Reads all of it; what is about IPsec and not understood is in `notes`.
[[nodiscard]] Model read_model(const RunningConfig& config);

}  // namespace oakgate::conf::cisco
