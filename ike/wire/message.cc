#include "ike/wire/message.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "ike/wire/payload_fields.h"

namespace oakgate::wire {

namespace {

template <typename P>
bool parse_as(PayloadType type, FieldReader& io, Payload& out) {
  P& p = out.emplace<P>();
  if constexpr (requires { requires std::same_as<decltype(p.type), PayloadType>; }) p.type = type;
  if constexpr (std::same_as<P, SaPayload>) p.raw_body = to_bytes(io.remaining());
  return fields(io, p);
}

struct Parser {
  PayloadType type;
  bool (*parse)(PayloadType, FieldReader&, Payload&);
};
constexpr Parser kParsers[] = {
    {PayloadType::sa, parse_as<SaPayload>},
    {PayloadType::key_exchange, parse_as<KeyExchangePayload>},
    {PayloadType::identification, parse_as<IdPayload>},
    {PayloadType::certificate, parse_as<CertificatePayload>},
    {PayloadType::certificate_request, parse_as<CertificateRequestPayload>},
    {PayloadType::hash, parse_as<HashPayload>},
    {PayloadType::signature, parse_as<SignaturePayload>},
    {PayloadType::nonce, parse_as<NoncePayload>},
    {PayloadType::notification, parse_as<NotifyPayload>},
    {PayloadType::deletion, parse_as<DeletePayload>},
    {PayloadType::vendor_id, parse_as<VendorIdPayload>},
    {PayloadType::attributes, parse_as<AttributesPayload>},
    {PayloadType::nat_d, parse_as<NatDetectionPayload>},
    {PayloadType::nat_d_draft, parse_as<NatDetectionPayload>},
    {PayloadType::nat_oa, parse_as<NatOriginalAddressPayload>},
    {PayloadType::nat_oa_draft, parse_as<NatOriginalAddressPayload>},
    {PayloadType::fragment, parse_as<FragmentPayload>},
};

bool parse_payload(PayloadType type, Identities identities, FieldReader& body, Payload& out) {
  // Proposals and transforms stand within an SA only, RFC 2408 sections 3.5 and 3.6.
  if (type == PayloadType::proposal || type == PayloadType::transform) {
    return body.note({NotifyType::invalid_payload_type, "it stands outside an SA", "it within an SA only"});
  }
  const auto* row = std::find_if(std::begin(kParsers), std::end(kParsers),
                                 [type](const Parser& p) { return p.type == type; });
  const bool opaque = type == PayloadType::identification && identities == Identities::opaque;
  const auto parse = row == std::end(kParsers) || opaque ? parse_as<UnknownPayload> : row->parse;
  if (!parse(type, body, out)) return false;
  return body.at_end() || body.note({NotifyType::payload_malformed, "bytes behind its last field",
                                     "lengths that nest exactly"});
}

tl::unexpected<Error> payload_error(const Flaw& flaw, PayloadType type, std::size_t offset) {
  std::string text = "payload " + std::string(payload_name(type)) + " (type " +
                     std::to_string(static_cast<unsigned>(type)) + ") at byte " + std::to_string(offset) +
                     " behind the header: " + std::string(flaw.what);
  return reject(flaw.notify, flaw.code, std::move(text), std::string(flaw.expected));
}

template <typename Values>
Bytes encode_fields(const Values& values) {
  FieldWriter out;
  static_cast<void>(fields(out, values));
  return std::move(out).take();
}

Bytes with_header(Header header, PayloadType first, ByteView body) {
  header.next_payload = first;
  header.length = static_cast<std::uint32_t>(kHeaderBytes + body.size());
  Bytes message = encode_fields(header);
  message.insert(message.end(), body.begin(), body.end());
  return message;
}

}  // namespace

Result<Header> parse_header(ByteView datagram) {
  Flaw flaw;
  FieldReader io(datagram, flaw);
  Header header;
  if (!fields(io, header)) {
    return reject(
        NotifyType::payload_malformed, ErrorCode::malformed,
        "a message of " + std::to_string(datagram.size()) + " bytes is shorter than the ISAKMP header",
        "28 bytes or more");
  }
  // RFC 2408 section 3.1: "Implementations SHOULD never accept packets with a major version number larger
  // than its own", and likewise for the minor one; below 1.0 there was none.
  if (header.version != kVersion10) {
    const bool major = header.version >> 4 != kVersion10 >> 4;
    return reject(
        major ? NotifyType::invalid_major_version : NotifyType::invalid_minor_version, ErrorCode::unsupported,
        "ISAKMP version " + std::to_string(header.version >> 4) + "." + std::to_string(header.version & 15),
        "version 1.0 (IKEv1)", "Have the peer use IKEv1 for this gateway.");
  }
  if (header.length < kHeaderBytes || header.length > datagram.size() || header.length > kMaxMessageBytes) {
    return reject(NotifyType::unequal_payload_lengths, ErrorCode::malformed,
                  "the ISAKMP header says " + std::to_string(header.length) + " bytes in a message of " +
                      std::to_string(datagram.size()),
                  "28 up to the size of the message");
  }
  return header;
}

ByteView body_of(const Header& header, ByteView datagram) {
  const std::size_t end = std::min<std::size_t>(header.length, datagram.size());
  return end <= kHeaderBytes ? ByteView{} : datagram.subspan(kHeaderBytes, end - kHeaderBytes);
}

Result<std::vector<Attribute>> parse_attributes(ByteView data) {
  Flaw flaw;
  FieldReader io(data, flaw);
  std::vector<Attribute> attributes;
  if (!io.attributes_to_end(attributes, kMaxAttributes))
    return payload_error(flaw, PayloadType::notification, 0);
  return attributes;
}

Bytes encode_attributes(const std::vector<Attribute>& attributes) {
  FieldWriter out;
  static_cast<void>(out.attributes_to_end(attributes, kMaxAttributes));
  return std::move(out).take();
}

Result<Body> parse_body(PayloadType first, ByteView body, Padding padding, Identities identities) {
  Body out;
  Flaw flaw;
  FieldReader io(body, flaw);
  for (PayloadType type = first; type != PayloadType::none;) {
    const std::size_t offset = io.position();
    if (out.payloads.size() == kMaxPayloads) {
      return payload_error({NotifyType::payload_malformed, "too many payloads", "128 at most"}, type, offset);
    }
    PayloadType next{};
    FieldReader one = io;
    if (!io.framed(next, one) || !parse_payload(type, identities, one, out.payloads.emplace_back())) {
      return payload_error(flaw, type, offset);
    }
    if (out.payloads.size() == 1) out.first_end = io.position();
    type = next;
  }
  out.length = io.position();
  if (padding == Padding::none && !io.at_end()) {
    return reject(NotifyType::unequal_payload_lengths, ErrorCode::malformed,
                  std::to_string(body.size() - out.length) + " bytes behind the last payload", "none");
  }
  return out;
}

Bytes encode_body(std::span<const Payload> payloads) {
  FieldWriter out;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const PayloadType next = i + 1 < payloads.size() ? type_of(payloads[i + 1]) : PayloadType::none;
    out.framed(next, [&](FieldWriter& body) {
      std::visit([&body](const auto& p) { static_cast<void>(fields(body, p)); }, payloads[i]);
    });
  }
  return std::move(out).take();
}

Bytes encode_sa_body(const SaPayload& sa) {
  return encode_fields(sa);
}

Bytes encode(const Header& header, std::span<const Payload> payloads) {
  return with_header(header, payloads.empty() ? PayloadType::none : type_of(payloads.front()),
                     encode_body(payloads));
}

Bytes encode_encrypted(const Header& header, PayloadType first, ByteView ciphertext) {
  return with_header(header, first, ciphertext);
}

}  // namespace oakgate::wire
