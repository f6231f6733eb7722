// `tunnels:` of a peer, what is protected and how.
#include <algorithm>
#include <array>
#include <set>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr Word<StartMode> kStartModes[] = {
    {"on-traffic", StartMode::on_traffic},
    {"on-start", StartMode::on_start},
    {"responder", StartMode::responder},
};

constexpr Word<RekeyMode> kRekeyModes[] = {
    {"on-traffic", RekeyMode::on_traffic},
    {"always", RekeyMode::always},
    {"never", RekeyMode::never},
};

constexpr Word<AcceptMode> kAcceptModes[] = {
    {"exact", AcceptMode::exact},
    {"subset", AcceptMode::subset},
};

constexpr Word<DfBit> kDfBits[] = {
    {"copy", DfBit::copy},
    {"set", DfBit::set},
    {"clear", DfBit::clear},
};

// ---- local and remote ----------------------------------------------------------------------------------

struct Side {
  Selector selector;
  Field field;
};

std::vector<Side> read_side(const std::optional<Field>& field) {
  constexpr std::string_view kExpected = "a subnet, a range or a list of them";
  std::vector<Side> side;
  if (!field) return side;
  for (const Field& item : one_or_many(*field, kExpected)) {
    if (const auto selector = read(item, kExpected, parse_selector)) side.push_back({*selector, item});
  }
  return side;
}

// RFC 2407 section 4.6.2 has a protocol in each identity, but an SA pair carries one protocol, between
// addresses of one family: whatever does not agree could never be installed.
std::optional<Fault> why_no_pair(const Selector& local, const Selector& remote) {
  if (local.family() != remote.family()) {
    return Fault{
        quote(local.to_string()) + " and " + quote(remote.to_string()) + " are of different families",
        "IPv4 with IPv4 and IPv6 with IPv6: a tunnel for each, as every `local` pairs with every `remote`"};
  }
  if (local.protocol != remote.protocol) {
    return Fault{quote(local.to_string()) + " and " + quote(remote.to_string()) + " differ in their protocol",
                 "the same on both sides; the port may be on one side only"};
  }
  const std::size_t subnets = local.subnets().size() * remote.subnets().size();
  if (subnets > kMaxSubnetPairs) {
    return Fault{"the ranges of " + quote(local.to_string()) + " and " + quote(remote.to_string()) +
                     " come to " + std::to_string(subnets) + " pairs of subnets",
                 "at most " + std::to_string(kMaxSubnetPairs) + ": ranges nearer to a subnet, or subnets"};
  }
  return std::nullopt;
}

std::vector<SelectorPair> read_pairs(const MapReader& map) {
  const auto local_field = map.required("local", "the subnet on this side");
  const auto remote_field = map.required("remote", "the subnet on the peer's side");
  const std::vector<Side> local = read_side(local_field);
  const std::vector<Side> remote = read_side(remote_field);
  std::vector<SelectorPair> pairs;
  if (local.empty() || remote.empty()) return pairs;
  if (local.size() > kMaxPairs / remote.size()) {
    local_field->fail(
        {"`local` and `remote` make too many pairs",
         "at most " + std::to_string(kMaxPairs) + ", as every `local` pairs with every `remote`"});
    return pairs;
  }
  std::set<SelectorPair> seen;
  bool mixed = false;  // one mistake, however many pairs it spoils
  for (const Side& ours : local) {
    for (const Side& theirs : remote) {
      const SelectorPair pair{ours.selector, theirs.selector};
      if (auto why = why_no_pair(pair.local, pair.remote)) {
        if (!mixed) theirs.field.fail(std::move(*why));
        mixed = true;
      } else if (!seen.insert(pair.canonical()).second) {
        theirs.field.fail(
            {quote(pair.to_string()) + " is in this tunnel twice", "each pair of subnets once"});
      } else {
        pairs.push_back(pair);
      }
    }
  }
  return pairs;
}

// ---- transform_sets, pfs, lifetime ---------------------------------------------------------------------

std::vector<TransformSet> read_sets(const std::optional<Field>& field, const TransformSets& declared) {
  std::vector<TransformSet> sets;
  if (!field) return sets;
  std::set<std::string_view> seen;
  for (const Field& item : one_or_many(*field, "a list of transform sets' names")) {
    const auto name = free_text(item, "a transform set's name");
    if (!name) continue;
    const Reference<TransformSet> set = refer(item, *name, declared, "transform set", "transform_sets");
    if (set.known && !seen.insert(*name).second) {
      item.fail({"transform set " + quote(*name) + " is listed twice", "each set once"});
    } else if (set.value != nullptr) {
      sets.push_back(*set.value);
    }
  }
  return sets;
}

std::optional<DhGroup> read_pfs(const Field& field) {
  const auto text = free_text(field, "none or a group");
  if (!text || *text == "none") return std::nullopt;
  return read(field, "none or a group", parse_group);
}

std::optional<std::uint64_t> read_limit(const Field& field, const char* what, std::uint64_t least,
                                        std::uint64_t most) {
  return read(field, what, [&](std::string_view text) {
    auto limit = text == "0" ? Parsed<std::uint64_t>(0) : parse_integer(text, least, most);
    if (!limit) limit.error().expected += ", or 0 for no limit";
    return limit;
  });
}

Lifetime read_lifetime(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"time", "kilobytes", "packets"});
  Lifetime lifetime;
  if (!require_map(field, "a map like {time: 1h, kilobytes: 4608000}")) return lifetime;
  const MapReader map(field, kKeys);
  if (const auto time = map.optional("time")) {
    lifetime.time = read(*time, "a duration like 1h", [](std::string_view text) {
                      return parse_duration(text, kMinLifetime, kMaxLifetime);
                    }).value_or(lifetime.time);
  }
  if (const auto kilobytes = map.optional("kilobytes")) {
    const auto value = read_limit(*kilobytes, "a number of kilobytes", kMinKilobytes, kMaxKilobytes);
    if (value) lifetime.kilobytes = Kilobytes{*value};
  }
  if (const auto packets = map.optional("packets")) {
    lifetime.packets =
        read_limit(*packets, "a number of packets", kMinPackets, kMaxPackets).value_or(lifetime.packets);
  }
  return lifetime;
}

// A range is no place to call.
StartMode read_start(const std::optional<Field>& field, const PeerAddress& peer) {
  const StartMode usual = peer.callable() ? StartMode::on_traffic : StartMode::responder;
  if (!field) return usual;
  const StartMode start = choice(*field, kStartModes).value_or(usual);
  if (!peer.callable() && start != StartMode::responder) {
    field->fail({quote(field->node->text) + " needs one address to call, and the peer's is " +
                     quote(peer.to_string()),
                 "responder, or one address or host name for the peer"});
  }
  return start;
}

// `off`, which other readers of YAML take for a boolean, is one of few words: no need of quotes.
TcpMss read_mss(const Field& field) {
  const auto text = scalar(field, "clamp, off or a number of bytes");
  if (!text || *text == "off") return {};
  if (*text == "clamp") return {TcpMss::Kind::clamp, 0};
  auto bytes = parse_integer(*text, kMinMss, kMaxMss);
  if (bytes) return {TcpMss::Kind::fixed, static_cast<std::uint16_t>(*bytes)};
  bytes.error().expected += ", clamp or off";
  field.fail(std::move(bytes.error()));
  return {};
}

PacketHandling read_handling(const MapReader& map) {
  PacketHandling handling;
  if (const auto df = map.optional("df_bit")) handling.df_bit = choice(*df, kDfBits).value_or(DfBit::copy);
  if (const auto dscp = map.optional("copy_dscp")) handling.copy_dscp = read_boolean(*dscp).value_or(true);
  if (const auto mss = map.optional("tcp_mss")) handling.tcp_mss = read_mss(*mss);
  return handling;
}

TunnelConfig read_tunnel(const Member& member, const PeerAddress& peer, const TransformSets& declared,
                         const std::optional<HookConfig>& updown) {
  constexpr auto kKeys =
      std::to_array<std::string_view>({"local", "remote", "transform_sets", "pfs", "lifetime", "start",
                                       "rekey", "replay_window", "esn", "df_bit", "copy_dscp", "tcp_mss",
                                       "accept", "updown", "mark", "interface", "offload", "offload_device"});
  TunnelConfig tunnel;
  tunnel.name = member.name;
  tunnel.position = member.key.node->position;
  if (!require_map(member.value, kKeys)) return tunnel;
  const MapReader map(member.value, kKeys);
  tunnel.pairs = read_pairs(map);
  tunnel.transform_sets =
      read_sets(map.required("transform_sets", "a list of transform sets' names"), declared);
  if (const auto pfs = map.optional("pfs")) tunnel.pfs = read_pfs(*pfs);
  if (const auto lifetime = map.optional("lifetime")) tunnel.lifetime = read_lifetime(*lifetime);
  tunnel.start = read_start(map.optional("start"), peer);
  if (const auto rekey = map.optional("rekey"))
    tunnel.rekey = choice(*rekey, kRekeyModes).value_or(tunnel.rekey);
  if (const auto accept = map.optional("accept"))
    tunnel.accept = choice(*accept, kAcceptModes).value_or(tunnel.accept);
  if (const auto window = map.optional("replay_window")) {
    const auto packets = read(*window, "a number of packets", [](std::string_view text) {
      return parse_integer(text, kMinReplayWindow, kMaxReplayWindow);
    });
    if (packets) tunnel.replay_window = static_cast<std::uint32_t>(*packets);
  }
  if (const auto esn = map.optional("esn")) tunnel.esn = read_boolean(*esn).value_or(false);
  tunnel.handling = read_handling(map);
  tunnel.ties = read_ties(map);
  tunnel.updown = read_updown(map, updown);
  return tunnel;
}

}  // namespace

std::vector<TunnelConfig> read_tunnels(const Field& field, const PeerAddress& peer,
                                       const TransformSets& transform_sets,
                                       const std::optional<HookConfig>& updown) {
  std::vector<TunnelConfig> tunnels;
  const std::vector<Member> all = members(field, "a map of tunnels by name");
  if (all.empty() && field.node->kind == Node::Kind::map && field.node->keys.empty()) {
    field.fail({"there is no tunnel", "at least one"});
  }
  for (const Member& member : all) {
    if (const auto name = parse_name(member.name); !name) {
      member.key.fail(name.error());
      continue;
    }
    tunnels.push_back(read_tunnel(member, peer, transform_sets, updown));
  }
  return tunnels;
}

}  // namespace oakgate::conf
