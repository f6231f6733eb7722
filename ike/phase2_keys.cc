#include "ike/phase2_keys.h"

#include "ike/crypto/keys.h"

namespace oakgate::ike {

namespace {

constexpr std::uint32_t kReservedSpis = 256;

std::size_t keymat_bytes(const TransformSet& set) {
  const EspCipherInfo& cipher = info(set.cipher);
  return cipher.key_bytes + cipher.salt_bytes + (set.integrity ? info(*set.integrity).key_bytes : 0U);
}

std::optional<UdpEncapsulation> encapsulation_of(const IkeSa& sa) {
  if (!sa.nat.any()) return std::nullopt;
  return UdpEncapsulation{sa.local.port, sa.remote.port};
}

// Past the soft limit the pair is renewed, with the rest of the kilobytes left for that. 0: never.
Kilobytes soft(Kilobytes hard, std::uint32_t percent, RekeyMode rekey) {
  if (rekey == RekeyMode::never) return {};
  return Kilobytes{hard.value - hard.value * (100 - percent) / 100};
}

Result<SaSpec> sa_of(const IkeSa& sa, const QuickMode& quick, const Pair& pair, const TunnelConfig& tunnel,
                     Direction direction) {
  const ChosenTransform& chosen = *quick.chosen;
  const bool in = direction == Direction::in;
  SaSpec spec;
  spec.direction = direction;
  spec.id = {in ? sa.local.address : sa.remote.address, IpsecProtocol::esp,
             in ? quick.our_spi : chosen.peer_spi};
  spec.source = in ? sa.remote.address : sa.local.address;
  spec.reqid = pair.config.reqid;
  spec.selectors = pair.config.selectors;
  spec.mode = chosen.set.mode;
  spec.cipher = chosen.set.cipher;
  spec.integrity = chosen.set.integrity;
  spec.replay_window = tunnel.replay_window;
  spec.encapsulation = encapsulation_of(sa);
  spec.hard_time = chosen.lifetime.time;
  spec.hard_kilobytes = chosen.lifetime.kilobytes;
  spec.soft_kilobytes = soft(chosen.lifetime.kilobytes, quick.soft_percent, tunnel.rekey);
  const SecretBytes* g_xy = quick.key_exchange.shared ? &*quick.key_exchange.shared : nullptr;
  auto keymat = crypto::keymat(sa.policy->hash, sa.keys.skeyid_d, g_xy, wire::kProtocolEsp, spec.id.spi,
                               quick.nonce_i, quick.nonce_r, keymat_bytes(chosen.set));
  if (!keymat) return fail(std::move(keymat.error()));
  // RFC 2409 section 5.5, RFC 2407 section 4.5: the cipher's key (and salt) first, then the authenticator's.
  const std::size_t cipher_bytes = info(spec.cipher).key_bytes + std::size_t{info(spec.cipher).salt_bytes};
  spec.encryption_key = keymat->slice(0, cipher_bytes);
  spec.integrity_key = keymat->slice(cipher_bytes, keymat->size() - cipher_bytes);
  return spec;
}

}  // namespace

Spi new_spi(Core& core) {
  Spi spi;
  do {
    spi = Spi{core.rng().u32()};
  } while (spi.value < kReservedSpis || core.state().inbound_spis.contains(spi));
  core.state().inbound_spis.insert(spi);
  return spi;
}

Result<std::vector<SaSpec>> phase2_sas(const IkeSa& sa, const QuickMode& quick, const Pair& pair,
                                       const TunnelConfig& tunnel, bool inbound, bool outbound) {
  std::vector<SaSpec> sas;
  for (const Direction direction : {Direction::in, Direction::out}) {
    if (!(direction == Direction::in ? inbound : outbound)) continue;
    auto spec = sa_of(sa, quick, pair, tunnel, direction);
    if (!spec) return fail(std::move(spec.error()));
    sas.push_back(std::move(*spec));
  }
  return sas;
}

SaPair phase2_pair(const IkeSa& sa, const QuickMode& quick, const Pair& pair) {
  SaPair fresh;
  fresh.reqid = pair.config.reqid;
  fresh.negotiated_as = quick.role;
  fresh.in = {sa.local.address, IpsecProtocol::esp, quick.our_spi};
  fresh.out = {sa.remote.address, IpsecProtocol::esp, quick.chosen->peer_spi};
  fresh.set = quick.chosen->set;
  fresh.pfs = quick.chosen->pfs;
  fresh.encapsulation = encapsulation_of(sa);
  fresh.local_gateway = sa.local.address;
  fresh.remote_gateway = sa.remote.address;
  fresh.lifetime = quick.chosen->lifetime;
  return fresh;
}

}  // namespace oakgate::ike
