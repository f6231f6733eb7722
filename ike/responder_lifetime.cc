#include "ike/responder_lifetime.h"

#include "ike/informational.h"
#include "ike/sa_book.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

namespace attribute = wire::ipsec_attribute;

// "Notification Data - contains an ISAKMP attribute list with the responder's actual SA lifetime(s)."
Bytes life_attributes(const OfferedLife& life) {
  std::vector<wire::Attribute> list;
  if (life.time) {
    add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeSeconds,
             static_cast<std::uint64_t>(life.time->count()));
  }
  if (life.kilobytes) {
    add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeKilobytes,
             life.kilobytes->value);
  }
  return wire::encode_attributes(list);
}

// RFC 2407: "SPI - set to the two ISAKMP cookies or to the sender's inbound IPSEC SPI". Some name no SPI.
void shorten_phase1(Core& core, IkeSa& sa, Seconds life) {
  if (life >= sa.policy->lifetime) return;
  sa.policy->lifetime = life;
  arm_lifetime(core, sa, life);
}

SaPairId pair_sending_with(const Peer& peer, Spi outbound) {
  for (const auto& [reqid, pair] : peer.pairs) {
    for (const SaPair& sas : pair.sas) {
      if (sas.out.spi == outbound) return sas.id;
    }
  }
  return {};
}

}  // namespace

wire::NotifyPayload phase2_life_notice(std::uint8_t protocol, Spi spi, const OfferedLife& shortened) {
  ByteWriter writer;
  writer.u32(spi.value);
  return {wire::kDoiIpsec, protocol, NotifyType::responder_lifetime, std::move(writer).take(),
          life_attributes(shortened)};
}

OfferedLife told_life(const wire::NotifyPayload& notify) {
  const auto attributes = wire::parse_attributes(notify.data);
  if (!attributes) return {};
  // The IPsec DOI's numbers; some peers use phase 1's own for an IKE SA.
  OfferedLife life = offered_life(*attributes, attribute::life_type, attribute::life_duration);
  if (notify.protocol == wire::kProtocolIsakmp && !life.time)
    life = offered_life(*attributes, wire::ike_attribute::life_type, wire::ike_attribute::life_duration);
  return life;
}

void tell_phase1_life(Core& core, IkeSa& sa) {
  if (!sa.life_shortened) return;
  Bytes cookies = to_bytes(sa.cookies.initiator);
  cookies.insert(cookies.end(), sa.cookies.responder.begin(), sa.cookies.responder.end());
  OfferedLife life;
  life.time = sa.policy->lifetime;
  Event event = core.event(EventId::notify_sent, sa);
  event.fields = {{"type", "RESPONDER-LIFETIME (24576)"}};
  core.raise(std::move(event));
  std::vector<wire::Payload> payloads;
  payloads.emplace_back(wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolIsakmp,
                                            NotifyType::responder_lifetime, std::move(cookies),
                                            life_attributes(life)});
  send_informational(core, sa, std::move(payloads));
}

void take_responder_lifetime(Core& core, IkeSa& sa, const wire::NotifyPayload& notify) {
  const OfferedLife life = told_life(notify);
  if (!life.time) return;
  if (notify.protocol == wire::kProtocolIsakmp) {
    shorten_phase1(core, sa, *life.time);
    return;
  }
  ByteReader reader(notify.spi);
  std::uint32_t spi = 0;
  const Peer* peer = core.find_peer(sa.peer);
  if (peer == nullptr || notify.spi.size() != 4 || !reader.u32(spi)) return;
  if (SaPair* sas = find_sa_pair(core, pair_sending_with(*peer, Spi{spi})))
    shorten_life(core, *sas, *life.time);
}

}  // namespace oakgate::ike
