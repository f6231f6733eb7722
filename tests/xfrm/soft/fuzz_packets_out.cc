// The whole way of packets from inside: any inner packet -> selectors -> SA -> MSS, DF and path MTU ->
// protected packet; and what comes out of the peer's engine is what went in. The input begins with the path's
// MTU (2) and a byte that chooses how the tunnels handle packets; then packets, each behind its length (2).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "xfrm/soft/drop_counts.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

const IpAddress& ours() {
  static const IpAddress address = *IpAddress::parse("192.0.2.1");
  return address;
}
const IpAddress& theirs() {
  static const IpAddress address = *IpAddress::parse("192.0.2.2");
  return address;
}

struct Kind {
  std::uint32_t spi;
  IpsecProtocol protocol;
  const char* local;
  const char* remote;
  bool transport;
  bool udp;
};
// The widest pair has no SA and asks for one.
constexpr std::array kKinds{
    Kind{0x1000, IpsecProtocol::esp, "10.1.0.0/16", "10.2.0.0/16", false, false},
    Kind{0x1001, IpsecProtocol::esp, "2001:db8:1::/48", "2001:db8:2::/48", false, true},
    Kind{0x1002, IpsecProtocol::ah, "10.1.0.0/16", "10.3.0.0/16", false, false},
    Kind{0x1003, IpsecProtocol::esp, "192.0.2.1/32", "192.0.2.2/32", true, false},
    Kind{0, IpsecProtocol::esp, "10.0.0.0/8", "10.0.0.0/8", false, false},
};

SaSpec spec(const Kind& kind, Direction direction, const PacketHandling& handling, bool esn) {
  SaSpec sa;
  sa.direction = direction;
  sa.id = {theirs(), kind.protocol, Spi{kind.spi}};
  sa.source = ours();
  sa.reqid = {kReqidBase + 1 + (kind.spi == 0 ? 50 : kind.spi & 0xff)};
  const Selector local{*Subnet::parse(kind.local), 0, 0};
  const Selector remote{*Subnet::parse(kind.remote), 0, 0};
  sa.selectors = direction == Direction::out ? SelectorPair{local, remote} : SelectorPair{remote, local};
  sa.mode = kind.transport ? EncapsulationMode::transport : EncapsulationMode::tunnel;
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha256;
  if (kind.protocol == IpsecProtocol::esp) sa.encryption_key = SecretBytes(Bytes(16, 0x31));
  sa.integrity_key = SecretBytes(Bytes(32, 0x32));
  if (kind.udp) sa.encapsulation = UdpEncapsulation{};
  sa.esn = esn;
  if (direction == Direction::out) sa.handling = handling;
  return sa;
}

EspEngine engine_with(std::size_t mtu) {
  return EspEngine({[mtu](const OuterPath&) { return mtu; },
                    [](std::span<std::uint8_t> iv) {
                      std::fill(iv.begin(), iv.end(), std::uint8_t{0x33});
                      return true;
                    }});
}

// What of two packets the way may change: the MSS of a SYN with its checksum.
bool same_but_mss(ByteView before, ByteView after, const InnerPacket& inner) {
  if (before.size() != after.size()) return false;
  std::size_t changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    if (i < inner.upper_offset + 16) return false;
    ++changed;
  }
  // Of at most ten options; the checksum is two bytes.
  return changed == 0 || (inner.protocol == 6 && changed <= 2 + 10 * 2);
}

void receive(const SealedPacket& sealed, EspEngine& peer, const std::vector<Bytes>& sent) {
  static PacketBatch batch;
  batch.clear();
  const Bytes bytes = to_bytes(sealed.bytes);
  std::copy(bytes.begin(), bytes.end(), batch.next_room().begin());
  const std::size_t header = sealed.protocol == IpsecProtocol::ah ? 20 : 0;
  require(bytes.size() > header);
  BatchPacket& packet = batch.add(batch.next_room().first(bytes.size()).subspan(header));
  packet.destination = theirs();
  packet.source = {ours(), sealed.path.encapsulation ? std::uint16_t{4500} : std::uint16_t{0}};
  packet.traffic_class = sealed.traffic_class;
  packet.encapsulated = sealed.path.encapsulation.has_value();
  packet.protocol = sealed.protocol;
  packet.ip_header = header;
  EngineOutput out;
  peer.inbound(batch, out);
  require(out.opened.size() == 1);
  const auto inner = parse_inner_packet(out.opened[0]);
  require(inner.has_value());
  // Transport mode carries no header: the one that arrives is made anew, as the outer one's is.
  if (sealed.path.source == inner->source && sealed.path.destination == inner->destination) return;
  require(std::any_of(sent.begin(), sent.end(), [&](const Bytes& before) {
    const auto parsed = parse_inner_packet(before);
    return parsed && same_but_mss(ByteView(before).first(parsed->size), out.opened[0], *parsed);
  }));
}

PacketHandling handling_of(std::uint8_t choice) {
  PacketHandling handling;
  handling.df_bit = static_cast<DfBit>(choice % 3);
  handling.copy_dscp = (choice & 4) != 0;
  if ((choice & 8) != 0) handling.tcp_mss = {TcpMss::Kind::clamp, 0};
  if ((choice & 16) != 0) handling.tcp_mss = {TcpMss::Kind::fixed, 900};
  return handling;
}

void run(ByteView input) {
  ByteReader reader(input);
  std::uint16_t mtu = 0;
  std::uint8_t choice = 0;
  if (!reader.u16(mtu) || !reader.u8(choice)) return;
  const PacketHandling handling = handling_of(choice);
  const bool esn = (choice & 32) != 0;
  EspEngine engine = engine_with(mtu);
  EspEngine peer = engine_with(0);
  for (const Kind& kind : kKinds) {
    const SaSpec out = spec(kind, Direction::out, handling, esn);
    require(
        engine.protect({out.reqid, out.selectors, ours(), theirs(), out.mode, kind.spi == 0}).has_value());
    if (kind.spi == 0) continue;
    require(engine.install({&out, 1}, Instant{}).has_value());
    const SaSpec in = spec(kind, Direction::in, handling, esn);
    require(peer.install({&in, 1}, Instant{}).has_value());
  }
  static PacketBatch batch;  // 2 MB: not for each input
  batch.clear();
  std::vector<Bytes> sent;
  std::uint16_t size = 0;
  while (!batch.full() && reader.u16(size)) {
    ByteView bytes;
    if (!reader.view(std::min<std::size_t>(size, reader.remaining()), bytes)) break;
    sent.push_back(to_bytes(bytes));
    std::copy(bytes.begin(), bytes.end(), batch.next_room().begin());
    batch.add(batch.next_room().first(bytes.size()));
  }
  EngineOutput out;
  engine.outbound(batch, Instant(Milliseconds(1000)), out);
  // No packet is sent or counted twice; the rest waits for its SA.
  const std::uint64_t known = out.sealed.size() + drop_counts(engine.drops()).total();
  require(known <= sent.size() && known + EspEngine::kWaitingPackets >= sent.size());
  for (const SealedPacket& sealed : out.sealed) {
    require(!sealed.dont_fragment || sealed.fragment_to == 0);
    receive(sealed, peer, sent);
  }
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
