#include "ike/phase2_keys.h"

#include <algorithm>
#include <array>

#include "ike/crypto/keys.h"

namespace oakgate::ike {

namespace {

constexpr std::uint32_t kReservedSpis = 256;

std::optional<UdpEncapsulation> encapsulation_of(const IkeSa& sa) {
  const NatForm* form = sa.capabilities.nat_traversal;
  if (!sa.nat.any() || form == nullptr) return std::nullopt;
  return UdpEncapsulation{sa.local.port, sa.remote.port, !form->floats};
}

// Past the soft limit the pair is renewed, with the rest of the kilobytes left for that. 0: never.
Kilobytes soft(Kilobytes hard, std::uint32_t percent, RekeyMode rekey) {
  if (rekey == RekeyMode::never) return {};
  return Kilobytes{hard.value - hard.value * (100 - percent) / 100};
}

// The operator's packets like the kilobytes. RFC 4303 section 3.3.3: a new SA is there before "the 2^32nd
// packet on a given SA". From the half on, not at the same moment on both sides: there is time enough at any
// speed.
std::uint64_t soft_packets(std::uint64_t hard, std::uint32_t percent, bool esn, RekeyMode rekey) {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 31;
  if (rekey == RekeyMode::never) return 0;
  const std::uint64_t of_numbers = esn ? 0 : kHalf + kHalf / 200 * percent;
  if (hard == 0) return of_numbers;
  const std::uint64_t chosen = hard - hard / 100 * (100 - percent);
  return of_numbers == 0 ? chosen : std::min(chosen, of_numbers);
}

IpsecProtocol carrier(const TransformSet& set) {
  return set.cipher ? IpsecProtocol::esp : IpsecProtocol::ah;
}

SaId id_of(const IkeSa& sa, const QuickMode& quick, Direction direction, IpsecProtocol protocol) {
  const bool in = direction == Direction::in;
  return {in ? sa.local.address : sa.remote.address, protocol,
          in ? quick.our_spis.of(protocol) : quick.chosen->peer_spis.of(protocol)};
}

// RFC 2409 section 5.5: KEYMAT is computed for each SPI and protocol by itself; RFC 2407 section 4.5: the
// cipher's key (and salt) first, then the authenticator's.
Result<void> derive_keys(const IkeSa& sa, const QuickMode& quick, SaSpec& spec) {
  if (spec.id.protocol == IpsecProtocol::comp) return {};  // it has none
  const bool esp = spec.id.protocol == IpsecProtocol::esp;
  const std::size_t cipher_bytes =
      esp ? info(spec.cipher).key_bytes + std::size_t{info(spec.cipher).salt_bytes} : 0;
  const std::size_t integrity_bytes = spec.integrity ? info(*spec.integrity).key_bytes : 0;
  const SecretBytes* g_xy = quick.key_exchange.shared ? &*quick.key_exchange.shared : nullptr;
  auto keymat =
      crypto::keymat(sa.policy->hash, sa.keys.skeyid_d, g_xy, esp ? wire::kProtocolEsp : wire::kProtocolAh,
                     spec.id.spi, quick.nonce_i, quick.nonce_r, cipher_bytes + integrity_bytes);
  if (!keymat) return fail(std::move(keymat.error()));
  spec.encryption_key = keymat->slice(0, cipher_bytes);
  spec.integrity_key = keymat->slice(cipher_bytes, integrity_bytes);
  return {};
}

SaSpec bare_sa(const SaPair& sas, const SelectorPair& selectors, Direction direction,
               IpsecProtocol protocol) {
  const bool in = direction == Direction::in;
  const bool comp = protocol == IpsecProtocol::comp;
  const bool bundle = sas.set.protection() == Protection::ah_esp && !comp;
  const bool ah = protocol == IpsecProtocol::ah;
  const SaId& esp_or_only_ah = in ? sas.in : sas.out;
  const std::optional<SaId>& ah_over_esp = in ? sas.ah_in : sas.ah_out;
  SaSpec spec;
  spec.direction = direction;
  spec.id = comp ? (in ? sas.comp_in : sas.comp_out).value() : bundle && ah ? *ah_over_esp : esp_or_only_ah;
  spec.source = in ? sas.remote_gateway : sas.local_gateway;
  spec.reqid = sas.reqid;
  spec.selectors = selectors;
  spec.over_ipcomp = sas.set.compression && !comp;
  spec.mode = (bundle && ah) || spec.over_ipcomp ? EncapsulationMode::transport : sas.set.mode;
  if (comp) spec.compression = sas.set.compression;
  if (protocol == IpsecProtocol::esp) spec.cipher = *sas.set.cipher;
  if (!comp) spec.integrity = ah ? sas.set.ah : sas.set.integrity;
  if (bundle) spec.bundle = ah ? esp_or_only_ah : *ah_over_esp;
  if (!comp) spec.encapsulation = sas.encapsulation;
  spec.esn = sas.esn && !comp;
  return spec;
}

Result<SaSpec> sa_of(const IkeSa& sa, const QuickMode& quick, SaSpec spec, const TunnelConfig& tunnel) {
  const ChosenTransform& chosen = *quick.chosen;
  spec.replay_window = tunnel.replay_window;
  spec.handling = tunnel.handling;
  spec.ties = tunnel.ties;
  spec.hard_time = chosen.lifetime.time;
  if (spec.id.protocol == carrier(chosen.set)) {
    spec.hard_kilobytes = chosen.lifetime.kilobytes;
    spec.soft_kilobytes = soft(chosen.lifetime.kilobytes, quick.soft_percent, tunnel.rekey);
    spec.hard_packets = tunnel.lifetime.packets;
    spec.soft_packets = soft_packets(spec.hard_packets, quick.soft_percent, spec.esn, tunnel.rekey);
  }
  if (auto derived = derive_keys(sa, quick, spec); !derived) return fail(std::move(derived.error()));
  return spec;
}

Spi new_spi(Core& core) {
  Spi spi;
  do {
    spi = Spi{core.rng().u32()};
  } while (spi.value < kReservedSpis || core.state().inbound_spis.contains(spi));
  core.state().inbound_spis.insert(spi);
  return spi;
}

// The next one that is free, from a random one on; none if there is none.
Spi new_cpi(Core& core) {
  constexpr std::uint32_t kCpis = kLastCpi - kFirstCpi + 1;
  const std::uint32_t begin = core.rng().u32() % kCpis;
  for (std::uint32_t i = 0; i < kCpis; ++i) {
    const Spi cpi{kFirstCpi + (begin + i) % kCpis};
    if (core.state().inbound_spis.insert(cpi).second) return cpi;
  }
  return {};
}

// What carries the packets first, then the AH over it, then the IPComp inside.
constexpr auto kProtocols = std::to_array({IpsecProtocol::esp, IpsecProtocol::ah, IpsecProtocol::comp});

bool has(const TransformSet& set, IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return set.ah.has_value();
    case IpsecProtocol::esp:
      return set.cipher.has_value();
    case IpsecProtocol::comp:
      return set.compression.has_value();
  }
  return false;
}

}  // namespace

ProtocolSpis new_spis(Core& core, std::span<const TransformSet> sets) {
  ProtocolSpis spis;
  for (const IpsecProtocol protocol : kProtocols) {
    const bool any =
        std::any_of(sets.begin(), sets.end(), [&](const TransformSet& set) { return has(set, protocol); });
    if (any) spis.set(protocol, protocol == IpsecProtocol::comp ? new_cpi(core) : new_spi(core));
  }
  return spis;
}

void release_spis(Core& core, const ProtocolSpis& spis) {
  for (const IpsecProtocol protocol : kProtocols) core.state().inbound_spis.erase(spis.of(protocol));
}

void drop_unused_spis(Core& core, QuickMode& quick) {
  for (const IpsecProtocol protocol : kProtocols) {
    if (has(quick.chosen->set, protocol)) continue;
    core.state().inbound_spis.erase(quick.our_spis.of(protocol));
    quick.our_spis.set(protocol, {});
  }
}

std::vector<SaId> phase2_ids(const IkeSa& sa, const QuickMode& quick) {
  std::vector<SaId> ids;
  for (const IpsecProtocol protocol : kProtocols) {
    if (quick.our_spis.of(protocol) == Spi{}) continue;
    ids.push_back({sa.local.address, protocol, quick.our_spis.of(protocol)});
    if (quick.chosen) ids.push_back(id_of(sa, quick, Direction::out, protocol));
  }
  return ids;
}

Result<std::vector<SaSpec>> phase2_sas(const IkeSa& sa, const QuickMode& quick, const Pair& pair,
                                       const TunnelConfig& tunnel, bool inbound, bool outbound) {
  std::vector<SaSpec> sas;
  for (SaSpec& bare : bare_sas(phase2_pair(sa, quick, pair), pair.config.selectors)) {
    if (!(bare.direction == Direction::in ? inbound : outbound)) continue;
    auto spec = sa_of(sa, quick, std::move(bare), tunnel);
    if (!spec) return fail(std::move(spec.error()));
    sas.push_back(std::move(*spec));
  }
  return sas;
}

std::vector<SaSpec> bare_sas(const SaPair& pair, const SelectorPair& selectors) {
  std::vector<SaSpec> sas;
  for (const Direction direction : {Direction::in, Direction::out}) {
    for (const IpsecProtocol protocol : kProtocols) {
      if (has(pair.set, protocol)) sas.push_back(bare_sa(pair, selectors, direction, protocol));
    }
  }
  return sas;
}

SaPair phase2_pair(const IkeSa& sa, const QuickMode& quick, const Pair& pair) {
  SaPair fresh;
  fresh.reqid = pair.config.reqid;
  fresh.negotiated_as = quick.role;
  const IpsecProtocol protocol = carrier(quick.chosen->set);
  fresh.in = id_of(sa, quick, Direction::in, protocol);
  fresh.out = id_of(sa, quick, Direction::out, protocol);
  if (quick.chosen->set.protection() == Protection::ah_esp) {
    fresh.ah_in = id_of(sa, quick, Direction::in, IpsecProtocol::ah);
    fresh.ah_out = id_of(sa, quick, Direction::out, IpsecProtocol::ah);
  }
  if (quick.chosen->set.compression) {
    fresh.comp_in = id_of(sa, quick, Direction::in, IpsecProtocol::comp);
    fresh.comp_out = id_of(sa, quick, Direction::out, IpsecProtocol::comp);
  }
  fresh.set = quick.chosen->set;
  fresh.pfs = quick.chosen->pfs;
  fresh.encapsulation = encapsulation_of(sa);
  fresh.local_gateway = sa.local.address;
  fresh.remote_gateway = sa.remote.address;
  fresh.lifetime = quick.chosen->lifetime;
  fresh.esn = quick.chosen->esn;
  return fresh;
}

}  // namespace oakgate::ike
