#include "daemon/decode/decoder.h"

#include <fmt/format.h>

#include "daemon/decode/story.h"
#include "daemon/text.h"
#include "ike/effects.h"

namespace oakgate::decode {

namespace {

using capture::IpPacket;

std::string time_text(std::uint64_t nanoseconds) {
  if (nanoseconds == 0) return {};
  const std::uint64_t micro = nanoseconds / 1000;
  const WallTime seconds{Seconds(static_cast<std::int64_t>(micro / 1'000'000))};
  std::string text = iso_time(seconds);
  if (text.empty()) return text;
  text.pop_back();  // the Z
  return fmt::format("{}.{:06}Z", text, micro % 1'000'000);
}

Json seen_json(const Seen& seen) {
  const wire::Header& header = seen.header;
  Json json{{"kind", "ISAKMP"},
            {"exchange", wire::exchange_name(header.exchange)},
            {"initiator_cookie", to_hex(header.cookies.initiator)},
            {"responder_cookie", to_hex(header.cookies.responder)},
            {"message_id", fmt::format("{:#010x}", header.message_id.value)},
            {"length", header.length},
            {"encrypted", seen.encrypted}};
  if ((header.flags & wire::kFlagCommit) != 0) json["commit"] = true;
  if (seen.encrypted) json["decrypted"] = seen.decrypted;
  if (seen.repeats) json["repeats"] = *seen.repeats;
  if (seen.fragment) json["fragment"] = true;
  if (seen.reassembled) json["reassembled"] = *seen.reassembled;
  if (!seen.obstacle.empty()) json["obstacle"] = seen.obstacle;
  Json payloads = Json::array();
  for (const wire::Payload& payload : seen.body.payloads) payloads.push_back(payload_json(payload));
  json["payloads"] = std::move(payloads);
  return json;
}

}  // namespace

Json Decoder::take(const capture::Frame& frame) {
  ++packets_;
  const auto ip = capture::ip_in(frame.link, frame.bytes);
  if (!ip || !capture::is_ipsec(*ip)) return nullptr;
  Json what;
  ByteView payload = ip->payload;
  bool whole = true;
  if (ip->fragment) {
    ++ip_fragments_;
    const auto joined = fragments_.take(*ip);
    whole = joined.has_value();
    if (whole) payload = *joined;
    if (!whole) what = {{"kind", "IP fragment"}, {"protocol", ip->protocol}, {"offset", ip->offset}};
  }
  Carried carried{{ip->source, 0}, {ip->destination, 0}, ip->cut};
  if (whole && ip->protocol == capture::kProtocolUdp) {
    const auto udp = capture::parse_udp(payload);
    if (!udp) return nullptr;
    carried.from.port = udp->source_port;
    carried.to.port = udp->destination_port;
    what = datagram(frame.number, carried, udp->payload);
  } else if (whole && ip->protocol == capture::kProtocolEspIp) {
    what = esp_.esp(ip->source, ip->destination, payload, "ESP", ip->cut);
  } else if (whole) {
    what = esp_.ah(ip->source, ip->destination, payload, ip->cut);
  }
  const auto end_text = [&](const Endpoint& end) {
    return end.port == 0 ? end.address.to_string() : end.to_string();
  };
  Json json{{"number", frame.number},
            {"time", time_text(frame.nanoseconds)},
            {"from", end_text(carried.from)},
            {"to", end_text(carried.to)}};
  json.update(what);
  if (ip->fragment && whole) json["ip_fragments"] = true;
  return json;
}

Json Decoder::datagram(std::uint64_t number, const Carried& carried, ByteView payload) {
  const bool floated =
      carried.from.port == ike::kNatTraversalPort || carried.to.port == ike::kNatTraversalPort;
  if (payload.size() == 1 && payload[0] == 0xff) {
    ++keepalives_;
    return {{"kind", "NAT keep-alive"}};
  }
  ByteReader reader(payload);
  std::uint32_t first = 0, second = 0;
  if (!reader.u32(first)) return {{"kind", "UDP"}, {"obstacle", "too short for anything of IPsec's"}};
  if (floated && first != 0)
    return esp_.esp(carried.from.address, carried.to.address, payload, "ESP in UDP", carried.cut);
  if (floated) return isakmp(number, carried, reader.rest());
  // Drafts 00 and 01 of NAT traversal: an initiator's cookie of zeros, then ESP.
  if (first == 0 && reader.u32(second) && second == 0)
    return esp_.esp(carried.from.address, carried.to.address, reader.rest(), "ESP in UDP (draft)",
                    carried.cut);
  return isakmp(number, carried, payload);
}

Json Decoder::isakmp(std::uint64_t number, const Carried& carried, ByteView message) {
  if (message.size() >= wire::kHeaderBytes && message[17] == 0x20) {
    ++ikev2_;
    return {{"kind", "IKEv2"}, {"obstacle", "oakgate speaks IKEv1"}};
  }
  const auto header = wire::parse_header(message);
  if (!header) {
    return {{"kind", "ISAKMP"},
            {"obstacle", carried.cut ? "the capture has only its beginning"
                                     : "not understood: " + printable(error_text(header.error()), 512)}};
  }
  const Cookie& cookie = header->cookies.initiator;
  auto found = negotiations_.find(cookie);
  if (found == negotiations_.end()) {
    if (negotiations_.size() == kMostNegotiations) {
      Negotiation once(cookie, tables_);
      return seen_json(once.take(number, carried.from, carried.to, *header, message));
    }
    found = negotiations_.emplace(cookie, Negotiation(cookie, tables_)).first;
    order_.push_back(cookie);
  }
  return seen_json(found->second.take(number, carried.from, carried.to, *header, message));
}

Json Decoder::story() const {
  Json sas = Json::array();
  Json said = Json::array();
  for (const Cookie& cookie : order_) {
    const Negotiation::Facts& facts = negotiations_.at(cookie).facts();
    const std::vector<std::string> words = story_of(facts);
    sas.push_back({{"initiator_cookie", to_hex(cookie)},
                   {"initiator", facts.initiator.to_string()},
                   {"responder", facts.responder.to_string()},
                   {"exchange", wire::exchange_name(facts.exchange)},
                   {"retransmissions", facts.initiator_repeated + facts.responder_repeated},
                   {"said", words}});
    for (const std::string& one : words) said.push_back(one);
  }
  for (const std::string& one : story_of(esp_.flows())) said.push_back(one);
  if (ip_fragments_ > 0)
    said.push_back(
        fmt::format("{} packets were fragments of IP: paths and firewalls lose such first.", ip_fragments_));
  if (keepalives_ > 0)
    said.push_back(fmt::format("{} NAT keep-alives kept a translation open.", keepalives_));
  if (ikev2_ > 0)
    said.push_back(
        fmt::format("{} messages are of IKEv2: whoever sent them has to be told to use IKEv1.", ikev2_));
  if (order_.empty() && esp_.flows().empty()) said.push_back("There is neither ISAKMP nor ESP nor AH in it.");
  Json flows = Json::array();
  for (const auto& [name, flow] : esp_.flows()) {
    flows.push_back({{"protocol", name.ah ? "AH" : "ESP"},
                     {"from", name.from.to_string()},
                     {"to", name.to.to_string()},
                     {"spi", fmt::format("{:#010x}", name.spi)},
                     {"packets", flow.packets},
                     {"first_sequence", flow.first},
                     {"highest_sequence", flow.highest},
                     {"repeated_or_late", flow.repeated_or_late},
                     {"decrypted", flow.opened}});
  }
  return {{"packets", packets_},
          {"isakmp_sas", std::move(sas)},
          {"sas", std::move(flows)},
          {"said", std::move(said)}};
}

}  // namespace oakgate::decode
