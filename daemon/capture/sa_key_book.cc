#include "daemon/capture/sa_key_book.h"

namespace oakgate::capture {

void SaKeyBook::remember(bool wanted) {
  remembers_ = wanted;
  if (!wanted) keys_.clear();
}

void SaKeyBook::installed(std::span<const SaSpec> sas, const std::string& peer, const Visit& also) {
  if (!remembers_) return;
  for (const SaSpec& sa : sas) {
    if (sa.id.protocol != IpsecProtocol::esp || sa.compression) continue;
    EspKeys keys{sa.source, sa.id.destination, sa.id.spi, sa.cipher, sa.integrity, 0, {}, {}};
    keys.encryption_key = sa.encryption_key.clone();
    keys.integrity_key = sa.integrity_key.clone();
    const auto found = keys_.insert_or_assign(sa.id, Entry{peer, sa.direction, std::move(keys)}).first;
    also(found->second.keys);
  }
}

void SaKeyBook::moved(std::span<const SaMove> sas, const VisitMoved& also) {
  for (const SaMove& move : sas) {
    auto entry = keys_.extract(move.id);
    if (entry.empty()) continue;
    EspKeys& keys = entry.mapped().keys;
    std::optional<IpAddress>& remote =
        entry.mapped().direction == Direction::out ? keys.destination : keys.source;
    const bool elsewhere = remote != move.remote.address;
    remote = move.remote.address;
    entry.key().destination = *keys.destination;
    const auto placed = keys_.insert(std::move(entry)).position;
    if (elsewhere) also(placed->second.peer, placed->second.keys);
  }
}

void SaKeyBook::gone(std::span<const SaId> sas) {
  for (const SaId& id : sas) keys_.erase(id);
}

void SaKeyBook::each_of(const std::string& peer, const Visit& visit) const {
  for (const auto& [id, entry] : keys_) {
    if (entry.peer == peer) visit(entry.keys);
  }
}

}  // namespace oakgate::capture
