// The whole way of packets from outside: SPI -> SA -> window -> ICV -> padding -> inner packet -> selectors,
// ECN, MSS, in batches, against SAs of each kind. The input is a list of packets; a packet's second byte says
// whether the bytes are taken as they are, or made by a peer that has the keys and means no good: its
// payload, its whole plaintext with padding and next header (ESP with the NULL cipher), or what AH covers.
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

struct Kind {
  std::uint32_t spi;
  IpsecProtocol protocol;
  EspCipher cipher;
  std::optional<Integrity> integrity;
  EncapsulationMode mode;
  std::uint32_t bundle;  // the SPI of the other SA; 0: none
  bool udp;
  bool marker;
  bool esn;
  bool v6;  // inner
};
constexpr auto kEsp = IpsecProtocol::esp;
constexpr auto kAh = IpsecProtocol::ah;
constexpr auto kTunnel = EncapsulationMode::tunnel;
constexpr auto kTransport = EncapsulationMode::transport;
constexpr std::array kKinds{
    Kind{0x1000, kEsp, EspCipher::null, Integrity::sha256, kTunnel, 0, false, false, false, false},
    Kind{0x1001, kEsp, EspCipher::aes_128, Integrity::sha, kTunnel, 0, true, false, false, false},
    Kind{0x1002, kEsp, EspCipher::gcm_256, std::nullopt, kTunnel, 0, false, false, true, true},
    Kind{0x1003, kEsp, EspCipher::null, Integrity::md5, kTransport, 0, false, false, false, false},
    Kind{0x1004, kAh, EspCipher::null, Integrity::sha256, kTunnel, 0, false, false, true, false},
    Kind{0x1005, kAh, EspCipher::null, Integrity::sha, kTransport, 0x1006, false, false, false, false},
    Kind{0x1006, kEsp, EspCipher::null, std::nullopt, kTunnel, 0x1005, false, false, false, false},
    Kind{0x1007, kEsp, EspCipher::null, Integrity::sha256, kTunnel, 0, true, true, false, true},
};
enum class Made : std::uint8_t { as_it_is, payload, plaintext, under_ah, count };

const IpAddress& ours() {
  static const IpAddress address = *IpAddress::parse("192.0.2.1");
  return address;
}
const IpAddress& theirs() {
  static const IpAddress address = *IpAddress::parse("192.0.2.2");
  return address;
}

SaSpec spec(const Kind& kind) {
  SaSpec sa;
  sa.direction = Direction::in;
  sa.id = {ours(), kind.protocol, Spi{kind.spi}};
  sa.source = theirs();
  sa.reqid = {kReqidBase + (kind.bundle != 0 ? 99 : kind.spi & 0xff)};
  const bool own = kind.mode == kTransport && kind.bundle == 0;
  const Subnet local =
      own ? Subnet::host(ours()) : *Subnet::parse(kind.v6 ? "2001:db8:1::/48" : "10.1.0.0/16");
  const Subnet remote =
      own ? Subnet::host(theirs()) : *Subnet::parse(kind.v6 ? "2001:db8:2::/48" : "10.2.0.0/16");
  sa.selectors = {{local, 0, 0}, {remote, 0, 0}};
  sa.mode = kind.mode;
  sa.cipher = kind.cipher;
  sa.integrity = kind.integrity;
  if (kind.protocol == kEsp) {
    const EspCipherInfo& row = info(kind.cipher);
    sa.encryption_key = SecretBytes(Bytes(std::size_t{row.key_bytes} + row.salt_bytes, 0x31));
  }
  if (sa.integrity) sa.integrity_key = SecretBytes(Bytes(info(*sa.integrity).key_bytes, 0x32));
  if (kind.bundle != 0) sa.bundle = SaId{ours(), kind.protocol == kEsp ? kAh : kEsp, Spi{kind.bundle}};
  if (kind.udp)
    sa.encapsulation =
        UdpEncapsulation{kind.marker ? std::uint16_t{500} : std::uint16_t{4500}, 4500, kind.marker};
  sa.esn = kind.esn;
  sa.handling.tcp_mss = {TcpMss::Kind::fixed, 1000};
  return sa;
}

Bytes sealed(const Kind& kind, ByteView payload, std::uint8_t next_header, std::uint64_t sequence) {
  const SaSpec keys = spec(kind);
  auto sealer = EspSealer::create(keys.cipher, keys.integrity, keys.encryption_key, keys.integrity_key,
                                  kind.bundle != 0 ? Covered::by_ah : Covered::by_itself);
  require(sealer.has_value());
  if (kind.esn) sealer->extend_numbers();
  const EspLayout& layout = sealer->layout();
  Bytes packet(layout.sealed_size(payload.size()));
  std::copy(payload.begin(), payload.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
  require(
      sealer->seal(packet, {Spi{kind.spi}, sequence}, Bytes(layout.iv, 0x33), payload.size(), next_header));
  return packet;
}

// ESP without encryption around a plaintext that has whatever trailer it has.
Bytes around_plaintext(const Kind& kind, ByteView plaintext, std::uint64_t sequence) {
  ByteWriter out;
  out.u32(kind.spi);
  out.u32(static_cast<std::uint32_t>(sequence));
  out.bytes(plaintext.first(plaintext.size() / 4 * 4));
  Bytes packet = std::move(out).take();
  if (!kind.integrity) return packet;
  auto tag = IntegrityTag::create(*kind.integrity, spec(kind).integrity_key);
  require(tag.has_value());
  Bytes icv(info(*kind.integrity).icv_bytes);
  require(!kind.esn && tag->compute(packet, icv));
  packet.insert(packet.end(), icv.begin(), icv.end());
  return packet;
}

// AH over `payload`, the IP header before it.
Bytes under_ah(const Kind& kind, ByteView payload, std::uint8_t next_header, std::uint64_t sequence) {
  auto ah = AhAuthenticator::create(*kind.integrity, spec(kind).integrity_key);
  require(ah.has_value());
  if (kind.esn) ah->extend_numbers();
  const std::size_t size = ah->header_size(Family::ipv4);
  Bytes packet(20 + size, 0);
  packet.insert(packet.end(), payload.begin(), payload.end());
  packet[0] = 0x45;
  packet[2] = static_cast<std::uint8_t>(packet.size() >> 8);
  packet[3] = static_cast<std::uint8_t>(packet.size());
  packet[9] = 51;
  require(ah->protect(packet, 20, {Spi{kind.spi}, sequence, next_header, 0}));
  return packet;
}

struct Input {
  const Kind* kind;
  Made made;
  std::uint8_t traffic_class;
  std::uint8_t next_header;
  std::uint64_t sequence;
  ByteView bytes;
};

// The packet from its IP header on for AH, from ESP on else.
Bytes packet_of(const Input& input) {
  const Kind& kind = *input.kind;
  const Kind& inside = kKinds[6];  // the ESP of the bundle
  switch (input.made) {
    case Made::payload:
      if (kind.protocol == kAh) return under_ah(kind, input.bytes, input.next_header, input.sequence);
      return sealed(kind, input.bytes, input.next_header, input.sequence);
    case Made::plaintext:
      if (kind.cipher == EspCipher::null && kind.protocol == kEsp)
        return around_plaintext(kind, input.bytes, input.sequence);
      break;
    case Made::under_ah:
      if (kind.bundle != 0)
        return under_ah(kKinds[5], around_plaintext(inside, input.bytes, input.sequence), 50, input.sequence);
      break;
    default:
      break;
  }
  Bytes raw = to_bytes(input.bytes);
  if (kind.protocol == kAh)
    raw.insert(raw.begin(), {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 51, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1});
  return raw;
}

// Bytes 0 to 7: kind, how it is made, traffic class, next header, sequence number 2, length 2.
bool next(ByteReader& reader, Input& out) {
  std::uint8_t kind = 0;
  std::uint8_t made = 0;
  std::uint16_t sequence = 0;
  std::uint16_t size = 0;
  if (!reader.u8(kind) || !reader.u8(made) || !reader.u8(out.traffic_class) || !reader.u8(out.next_header) ||
      !reader.u16(sequence) || !reader.u16(size)) {
    return false;
  }
  const std::size_t left = reader.remaining();
  out.kind = &kKinds[kind % kKinds.size()];
  out.made = static_cast<Made>(made % static_cast<std::uint8_t>(Made::count));
  out.sequence = sequence;
  return reader.view(std::min<std::size_t>({size, left, 4000}), out.bytes);
}

void check(ByteView opened) {
  const auto inner = parse_inner_packet(opened);
  require(inner && inner->size == opened.size());
  const bool own = inner->source == theirs() && inner->destination == ours();
  const bool v4 = Subnet::parse("10.2.0.0/16")->contains(inner->source) &&
                  Subnet::parse("10.1.0.0/16")->contains(inner->destination);
  const bool v6 = Subnet::parse("2001:db8:2::/48")->contains(inner->source) &&
                  Subnet::parse("2001:db8:1::/48")->contains(inner->destination);
  require(own || v4 || v6);  // no inner packet from outside its SA's selectors
}

void run(ByteView input) {
  EspEngine engine(
      {[](const OuterPath&) { return std::size_t{1500}; }, [](std::span<std::uint8_t>) { return false; }});
  std::vector<SaSpec> sas;
  for (const Kind& kind : kKinds) sas.push_back(spec(kind));
  require(engine.install(sas, Instant{}).has_value());
  static PacketBatch batch;  // 2 MB: not for each input
  batch.clear();
  ByteReader reader(input);
  Input one{};
  while (!batch.full() && next(reader, one)) {
    const Bytes packet = packet_of(one);
    const bool ah = one.kind->protocol == kAh || (one.made == Made::under_ah && one.kind->bundle != 0);
    std::copy(packet.begin(), packet.end(), batch.next_room().begin());
    const std::size_t header = ah ? 20 : 0;
    BatchPacket& arrived = batch.add(batch.next_room().first(packet.size()).subspan(header));
    arrived.destination = ours();
    arrived.source = {theirs(), one.kind->udp ? std::uint16_t{4500} : std::uint16_t{0}};
    arrived.traffic_class = one.traffic_class;
    arrived.encapsulated = one.kind->udp;
    arrived.non_ike_marker = one.kind->marker;
    arrived.protocol = ah ? kAh : kEsp;
    arrived.ip_header = header;
  }
  const std::size_t packets = batch.size();
  EngineOutput out;
  engine.inbound(batch, out);
  for (const ByteView opened : out.opened) check(opened);
  // No packet is delivered or counted twice.
  require(out.opened.size() + drop_counts(engine.drops()).total() <= packets);
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
