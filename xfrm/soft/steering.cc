#include "xfrm/soft/steering.h"

#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/esp_packet.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {

void Steering::protect(const ProtectPolicy& policy) {
  unprotect(policy.reqid);
  selectors_.insert(policy.selectors, policy.reqid);
  pairs_.emplace(policy.reqid, policy.selectors);
}

void Steering::unprotect(Reqid reqid) {
  const auto found = pairs_.find(reqid);
  if (found == pairs_.end()) return;
  selectors_.erase(found->second, reqid);
  pairs_.erase(found);
}

void Steering::add(const SaId& id, Reqid reqid) {
  inbound_[id] = owner_of(reqid, workers_);
}

void Steering::remove(const SaId& id) {
  inbound_.erase(id);
}

unsigned Steering::owner_of_leaving(ByteView inner_packet) const {
  const auto inner = parse_inner_packet(inner_packet);
  if (!inner) return self_;
  const Ports ports = inner->ports.value_or(Ports{});
  const Reqid* const reqid = selectors_.find(
      FlowView{inner->source, inner->destination, inner->protocol, ports.source, ports.destination});
  return reqid == nullptr ? self_ : owner_of(*reqid, workers_);
}

// In a bundle AH, which comes first, has the reqid of the ESP in it.
unsigned Steering::owner_of_arriving(const BatchPacket& packet) const {
  Spi spi;
  if (packet.protocol == IpsecProtocol::ah) {
    const auto header = read_ah_header(packet.bytes);
    if (!header) return self_;
    spi = header->spi;
  } else {
    const auto header = read_esp_header(packet.bytes);
    if (!header) return self_;
    spi = header->spi;
  }
  const auto found = inbound_.find({packet.destination, packet.protocol, spi});
  return found == inbound_.end() ? self_ : found->second;
}

}  // namespace oakgate::soft
