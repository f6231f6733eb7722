// The peers and tunnels that a model comes to. Private to conf/cisco/.
#pragma once

#include <string>
#include <vector>

#include "conf/cisco/model.h"

namespace oakgate::conf::cisco {

struct PlannedTunnel {
  std::string name;
  std::vector<Selector> local;
  std::vector<Selector> remote;
  std::vector<std::string> transform_sets;
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  DfBit df_bit = DfBit::copy;
  int replay_window = 0;  // 0: as usual
  int tcp_mss = 0;        // 0: none
};

struct PlannedPeer {
  std::string name;
  std::string address;  // or a host name, or "any"
  bool signs = false;   // proves itself by certificate
  const PreSharedKey* pre_shared_key = nullptr;
  std::string trustpoint;
  const PublicKey* public_key = nullptr;
  std::vector<Weak> weak;
  std::vector<PlannedTunnel> tunnels;
};

// Points into `model`, to whose notes it adds.
[[nodiscard]] std::vector<PlannedPeer> plan_peers(Model& model);

}  // namespace oakgate::conf::cisco
