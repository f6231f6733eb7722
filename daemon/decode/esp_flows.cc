#include "daemon/decode/esp_flows.h"

#include <fmt/format.h>

#include <algorithm>

namespace oakgate::decode {

namespace {

constexpr std::uint8_t kNextIpv4 = 4, kNextIpv6 = 41, kNextNone = 59;

std::string protocol_text(const capture::IpPacket& ip) {
  ByteReader reader(ip.payload);
  std::uint8_t type = 0;
  std::uint16_t source = 0, destination = 0;
  switch (ip.protocol) {
    case capture::kProtocolIcmp:
      if (!reader.u8(type)) return "ICMP";
      return type == 8   ? "ICMP echo request"
             : type == 0 ? "ICMP echo reply"
                         : fmt::format("ICMP type {}", type);
    case capture::kProtocolIcmp6:
      if (!reader.u8(type)) return "ICMPv6";
      return type == 128   ? "ICMPv6 echo request"
             : type == 129 ? "ICMPv6 echo reply"
                           : fmt::format("ICMPv6 type {}", type);
    case capture::kProtocolTcp:
    case capture::kProtocolUdp: {
      const char* name = ip.protocol == capture::kProtocolTcp ? "TCP" : "UDP";
      if (!reader.u16(source) || !reader.u16(destination)) return name;
      return fmt::format("{} port {} to {}", name, source, destination);
    }
    default:
      return fmt::format("protocol {}", ip.protocol);
  }
}

std::string inner_of(std::uint8_t next, ByteView inner, const IpAddress& from, const IpAddress& to) {
  if (next == kNextIpv4 || next == kNextIpv6) return inner_text(inner);
  if (next == kNextNone) return "a dummy packet (RFC 4303 section 2.6)";
  // Transport mode: the addresses are the outer ones.
  capture::IpPacket ip{from, to, next};
  ip.payload = inner;
  return fmt::format("{}, {} bytes (transport mode)", protocol_text(ip), inner.size());
}

}  // namespace

std::string inner_text(ByteView ip_packet) {
  const auto ip = capture::parse_ip(ip_packet);
  if (!ip) return "not an IP packet";
  return fmt::format(
      "{} -> {} {}{}, {} bytes", ip->source.to_string(), ip->destination.to_string(),
      ip->fragment && ip->offset != 0 ? fmt::format("protocol {}", ip->protocol) : protocol_text(*ip),
      ip->fragment ? ", a fragment" : "", ip_packet.size());
}

EspFlows::Flow* EspFlows::count(const Name& name, std::uint32_t sequence) {
  const auto found = flows_.find(name);
  if (found == flows_.end() && flows_.size() == kMost) return nullptr;
  Flow& flow = flows_[name];
  if (flow.packets++ == 0) {
    flow.first = flow.highest = sequence;
    flow.ah = name.ah;
  } else if (sequence <= flow.highest) {
    ++flow.repeated_or_late;
  } else {
    flow.highest = sequence;
  }
  return &flow;
}

const capture::EspKeys* EspFlows::keys_of(const Name& name) const {
  for (const capture::EspKeys& keys : tables_.esp) {
    if ((!keys.source || *keys.source == name.from) && (!keys.destination || *keys.destination == name.to) &&
        (!keys.spi || keys.spi->value == name.spi)) {
      return &keys;
    }
  }
  return nullptr;
}

void EspFlows::open(const Name& name, ByteView packet, Flow& flow, Json& json) {
  const capture::EspKeys* keys = keys_of(name);
  if (keys == nullptr) return;
  flow.key_known = true;
  const auto [found, added] = openers_.try_emplace(name);
  if (added) {
    const bool alone = keys->integrity.has_value() || info(keys->cipher).aead();
    auto opener = soft::EspOpener::create(
        keys->cipher, keys->integrity, keys->encryption_key, keys->integrity_key,
        alone ? soft::Covered::by_itself : soft::Covered::by_ah, soft::CryptoBackend::openssl);
    if (opener) found->second = std::make_unique<soft::EspOpener>(std::move(*opener));
  }
  if (found->second == nullptr || packet.size() < keys->unchecked_icv) {
    json["obstacle"] = "its keys do not fit its algorithms";
    ++flow.refused;
    return;
  }
  Bytes copy = to_bytes(packet.first(packet.size() - keys->unchecked_icv));
  const soft::Opened opened = found->second->open(copy);
  if (opened.verdict != soft::OpenVerdict::ok) {
    ++flow.refused;
    json["obstacle"] = opened.verdict == soft::OpenVerdict::not_authentic
                           ? "its ICV does not verify by the key given"
                       : opened.verdict == soft::OpenVerdict::malformed ? "too short or not whole blocks"
                                                                        : "it decrypts to nonsense";
  } else {
    ++flow.opened;
    json["inner"] = inner_of(opened.next_header, opened.inner, name.from, name.to);
  }
  wipe(copy.data(), copy.size());
}

Json EspFlows::esp(const IpAddress& from, const IpAddress& to, ByteView packet, std::string_view carrier,
                   bool cut) {
  const auto header = soft::read_esp_header(packet);
  if (!header) return {{"kind", carrier}, {"obstacle", "shorter than an ESP header"}};
  const auto sequence = static_cast<std::uint32_t>(header->sequence);
  const Name name{from, to, header->spi.value, false};
  Json json{{"kind", carrier},
            {"spi", fmt::format("{:#010x}", name.spi)},
            {"sequence", sequence},
            {"length", packet.size()}};
  Flow* flow = count(name, sequence);
  if (cut) {
    json["obstacle"] = "the capture has only its beginning";
  } else if (flow != nullptr) {
    open(name, packet, *flow, json);
  }
  return json;
}

Json EspFlows::ah(const IpAddress& from, const IpAddress& to, ByteView packet, bool cut) {
  ByteReader reader(packet);
  std::uint8_t next = 0, words = 0;
  std::uint32_t spi = 0, sequence = 0;
  if (!reader.u8(next) || !reader.u8(words) || !reader.skip(2) || !reader.u32(spi) || !reader.u32(sequence) ||
      words < 1 || !reader.skip((words + 2U) * 4U - 12U)) {
    return {{"kind", "AH"}, {"obstacle", "shorter than an AH header"}};
  }
  (void)count({from, to, spi, true}, sequence);
  Json json{{"kind", "AH"},
            {"spi", fmt::format("{:#010x}", spi)},
            {"sequence", sequence},
            {"length", packet.size()}};
  if (next == capture::kProtocolEspIp) {
    json["esp"] = esp(from, to, reader.rest(), "ESP", cut);
  } else if (!cut) {
    json["inner"] = inner_of(next, reader.rest(), from, to);
  }
  return json;
}

}  // namespace oakgate::decode
