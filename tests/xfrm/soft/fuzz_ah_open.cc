// AH as a peer or anybody can send it, IP header and options included. The first byte chooses the family and
// whether the ICV is the peer's own over what arrives: then headers and payload are authentic garbage.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

constexpr Spi kSpi{0x1000};
constexpr Integrity kIntegrity = Integrity::sha256;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

SaSpec spec(Family family, bool bundle) {
  SaSpec sa;
  sa.direction = Direction::in;
  sa.id = {*IpAddress::parse("192.0.2.1"), IpsecProtocol::ah, kSpi};
  sa.source = *IpAddress::parse("192.0.2.2");
  sa.reqid = Reqid{kReqidBase + 1};
  sa.selectors = {{Subnet::any(family), 0, 0}, {Subnet::any(family), 0, 0}};
  sa.integrity = kIntegrity;
  sa.integrity_key = SecretBytes(Bytes(info(kIntegrity).key_bytes, 0x32));
  if (bundle) {
    sa.mode = EncapsulationMode::transport;
    sa.bundle = SaId{sa.id.destination, IpsecProtocol::esp, kSpi};
  }
  return sa;
}

// Where AH begins: the IPv4 header by its own length, or behind the fixed IPv6 header and as many extension
// headers as the second byte says.
std::size_t ip_header(ByteView packet, std::uint8_t extensions) {
  if (packet.empty()) return 0;
  if (packet[0] >> 4 == 4) return std::size_t{packet[0] & 0x0fU} * 4;
  return 40 + std::size_t{extensions & 7U} * 8;
}

void run(ByteView input) {
  if (input.size() < 3 || input.size() > 9000) return;
  const std::uint8_t choice = input[0];
  const Family family = (choice & 1) != 0 ? Family::ipv6 : Family::ipv4;
  const bool authentic = (choice & 2) != 0;
  const SaSpec sa = spec(family, (choice & 4) != 0);
  Bytes packet = to_bytes(input.subspan(2));
  const std::size_t ip = ip_header(packet, input[1]);
  if (ip == 0 || ip > packet.size()) return;
  Bytes muted(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(ip));
  const bool good = mute_mutable_fields(muted);
  auto ah = AhAuthenticator::create(kIntegrity, sa.integrity_key);
  const auto header = read_ah_header(ByteView(packet).subspan(ip));
  bool sealed = false;
  if (authentic && header) {
    sealed = ah->protect(packet, ip, {kSpi, 1, header->next_header, 0});
    require(!sealed || good);
  }
  const Bytes before = packet;
  const AhVerdict verdict = ah->verify(packet, ip);
  require(packet == before);
  require(sealed == (verdict == AhVerdict::ok));  // nobody guesses an ICV
  EspEngine engine(
      {[](const OuterPath&) { return std::size_t{1500}; }, [](std::span<std::uint8_t>) { return false; }});
  require(engine.install({&sa, 1}, Instant{}).has_value());
  static PacketBatch batch;  // 2 MB: not for each input
  batch.clear();
  std::copy(packet.begin(), packet.end(), batch.next_room().begin());
  BatchPacket& arrived = batch.add(batch.next_room().first(packet.size()).subspan(ip));
  arrived.source = {sa.source, 0};
  arrived.destination = sa.id.destination;
  arrived.protocol = IpsecProtocol::ah;
  arrived.ip_header = ip;
  EngineOutput out;
  engine.inbound(batch, out);
  require(out.opened.size() <= 1);
  require(out.opened.empty() || (sealed && !sa.bundle));
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
