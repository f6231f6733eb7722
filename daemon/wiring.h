// From the operator's configuration (conf/) to the core's (ike/config.h): addresses to ranges, selector pairs
// to reqids, names of keys to public keys, and which weak things a peer can use.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "conf/config.h"
#include "daemon/key_files.h"
#include "ike/config.h"

namespace oakgate {

// Gives each configured selector pair its reqid, from kReqidBase on. A pair keeps its reqid as long as it
// stays configured; a freed one is not given away again before all the others have been.
class ReqidTable {
 public:
  using Key = std::tuple<std::string, std::string, SelectorPair>;  // peer, tunnel, pair

  // Call for every pair of a configuration, between begin() and end(); end() forgets those not asked for.
  void begin() { in_use_.clear(); }
  // ErrorCode::configuration if kConfiguredReqids pairs are configured already.
  [[nodiscard]] Result<Reqid> get(const Key& key);
  void end();
  // What an earlier run gave it, unless another pair has that. Before the first begin().
  void restore(const Key& key, Reqid reqid);

 private:
  std::map<Key, Reqid> known_;
  std::map<Key, Reqid> in_use_;
  std::set<Reqid> taken_;  // by either
  std::uint32_t next_ = 0;
};

// Of secret keys only lengths and public halves are looked at. `gateway` is the name events carry.
[[nodiscard]] Result<ike::EngineConfig> make_engine_config(const conf::Config& config, const LoadedKeys& keys,
                                                           ReqidTable& reqids);

// The configured name of the gateway, or the host's.
[[nodiscard]] std::string gateway_name(const conf::Config& config);

}  // namespace oakgate
