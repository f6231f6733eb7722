// What a peer can send. The first byte chooses algorithms and how the rest arrives: as an ESP packet nobody
// sealed, or sealed by the peer's keys: authentic garbage, the worst that a tunnel can carry.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

struct Algorithms {
  EspCipher cipher;
  std::optional<Integrity> integrity;
};
constexpr Algorithms kAlgorithms[] = {{EspCipher::aes_128, Integrity::sha256},
                                      {EspCipher::gcm_256, std::nullopt},
                                      {EspCipher::des3, Integrity::sha},
                                      {EspCipher::aes_256, Integrity::sha512}};
constexpr Spi kSpi{0x1000};

SaSpec spec(const Algorithms& algorithms, Family family) {
  SaSpec sa;
  sa.direction = Direction::in;
  sa.id = {*IpAddress::parse("192.0.2.1"), IpsecProtocol::esp, kSpi};
  sa.source = *IpAddress::parse("192.0.2.2");
  sa.reqid = Reqid{kReqidBase + 1};
  sa.selectors = {{Subnet::any(family), 0, 0}, {Subnet::any(family), 0, 0}};
  sa.cipher = algorithms.cipher;
  sa.integrity = algorithms.integrity;
  const EspCipherInfo& row = info(algorithms.cipher);
  sa.encryption_key = SecretBytes(Bytes(std::size_t{row.key_bytes} + row.salt_bytes, 0x31));
  if (sa.integrity) sa.integrity_key = SecretBytes(Bytes(info(*sa.integrity).key_bytes, 0x32));
  return sa;
}

Bytes seal(const SaSpec& keys, ByteView payload, std::uint8_t next_header) {
  auto sealer = EspSealer::create(keys.cipher, keys.integrity, keys.encryption_key, keys.integrity_key);
  require(sealer.has_value());
  const EspLayout& layout = sealer->layout();
  Bytes packet(layout.sealed_size(payload.size()));
  std::copy(payload.begin(), payload.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
  require(sealer->seal(packet, {kSpi, 1}, Bytes(layout.iv, 0x33), payload.size(), next_header));
  return packet;
}

void run(ByteView input) {
  if (input.size() < 2 || input.size() > 9000) return;
  const std::uint8_t choice = input[0];
  const Family family = (choice & 4) != 0 ? Family::ipv6 : Family::ipv4;
  SaSpec sa = spec(kAlgorithms[choice & 3], family);
  const bool sealed = (choice & 8) == 0;
  const Bytes packet = sealed ? seal(sa, input.subspan(2), input[1]) : to_bytes(input.subspan(1));
  EspEngine engine(
      {[](const OuterPath&) { return std::size_t{1500}; }, [](std::span<std::uint8_t>) { return false; }});
  require(engine.install({&sa, 1}, Instant{}).has_value());
  static PacketBatch batch;  // 2 MB: not for each input
  batch.clear();
  std::copy(packet.begin(), packet.end(), batch.next_room().begin());
  BatchPacket& arrived = batch.add(batch.next_room().first(packet.size()));
  arrived.destination = sa.id.destination;
  arrived.traffic_class = static_cast<std::uint8_t>(choice >> 4);
  EngineOutput out;
  engine.inbound(batch, out);
  require(out.opened.size() <= 1);
  if (out.opened.empty()) return;
  require(sealed);  // nobody guesses a tag
  const auto inner = parse_inner_packet(out.opened[0]);
  require(inner && inner->size == out.opened[0].size() && inner->source.family() == family);
  require(input[1] == (family == Family::ipv4 ? kProtocolIpv4 : kProtocolIpv6));
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
