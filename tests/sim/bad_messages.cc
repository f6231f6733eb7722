#include "tests/sim/bad_messages.h"

#include <algorithm>
#include <functional>

namespace oakgate::sim {

namespace {

// ---- a chain of payloads as it stands on the wire, so that every field of it can be wrong

struct RawPayload {
  std::uint8_t type = 0;
  Bytes body;
  std::uint8_t reserved = 0;
  std::optional<std::uint16_t> length{};  // else the right one
};
struct Chain {
  std::vector<RawPayload> payloads;
  std::uint8_t behind_last = 0;  // the last one's next payload
};

Chain take_apart(std::uint8_t first, ByteView bytes) {
  Chain chain;
  std::uint8_t type = first;
  while (type != 0 && bytes.size() >= 4) {
    const std::size_t length = static_cast<std::size_t>(bytes[2]) << 8 | bytes[3];
    if (length < 4 || length > bytes.size()) break;
    chain.payloads.push_back({type, to_bytes(bytes.subspan(4, length - 4)), 0, {}});
    type = bytes[0];
    bytes = bytes.subspan(length);
  }
  return chain;
}

Bytes put_together(const Chain& chain) {
  ByteWriter out;
  for (std::size_t i = 0; i < chain.payloads.size(); ++i) {
    const RawPayload& one = chain.payloads[i];
    out.u8(i + 1 < chain.payloads.size() ? chain.payloads[i + 1].type : chain.behind_last);
    out.u8(one.reserved);
    out.u16(one.length.value_or(static_cast<std::uint16_t>(one.body.size() + 4)));
    out.bytes(one.body);
  }
  return std::move(out).take();
}

struct Change {
  std::string name;
  std::function<void(Chain&)> apply;
};

// Of the payload at `i`.
std::vector<Change> changes_of(std::size_t i, std::size_t size) {
  const auto at = [i](Chain& chain) { return chain.payloads.begin() + static_cast<std::ptrdiff_t>(i); };
  std::vector<Change> changes{
      {"missing", [=](Chain& c) { c.payloads.erase(at(c)); }},
      {"doubled", [=](Chain& c) { c.payloads.insert(at(c), RawPayload(c.payloads[i])); }},
      {"first", [=](Chain& c) { std::rotate(c.payloads.begin(), at(c), at(c) + 1); }},
      {"last", [=](Chain& c) { std::rotate(at(c), at(c) + 1, c.payloads.end()); }},
      {"reserved", [=](Chain& c) { c.payloads[i].reserved = 1; }},
      {"empty", [=](Chain& c) { c.payloads[i].body.clear(); }},
      {"all ones", [=](Chain& c) { std::fill(at(c)->body.begin(), at(c)->body.end(), 0xff); }},
      {"all zeros", [=](Chain& c) { std::fill(at(c)->body.begin(), at(c)->body.end(), 0); }},
      {"half", [=](Chain& c) { at(c)->body.resize(at(c)->body.size() / 2); }},
      {"a byte short",
       [=](Chain& c) { at(c)->body.resize(std::max<std::size_t>(at(c)->body.size(), 1) - 1); }},
      {"a byte long", [=](Chain& c) { at(c)->body.push_back(0); }},
      {"300 bytes long", [=](Chain& c) { at(c)->body.resize(at(c)->body.size() + 300, 0x41); }},
  };
  for (const int type : {0, 1, 2, 8, 11, 13, 14, 55, 132, 255}) {
    changes.push_back({"of type " + std::to_string(type),
                       [=](Chain& c) { c.payloads[i].type = static_cast<std::uint8_t>(type); }});
  }
  for (const int length : {0, 3, 4, 0xffff}) {
    changes.push_back({"of length " + std::to_string(length),
                       [=](Chain& c) { c.payloads[i].length = static_cast<std::uint16_t>(length); }});
  }
  for (const int delta : {-4, -1, 1, 4}) {
    changes.push_back({"of a length off by " + std::to_string(delta), [=](Chain& c) {
                         c.payloads[i].length =
                             static_cast<std::uint16_t>(static_cast<int>(at(c)->body.size()) + 4 + delta);
                       }});
  }
  for (std::size_t byte = 0; byte < std::min<std::size_t>(size, 8); ++byte) {
    changes.push_back(
        {"with byte " + std::to_string(byte) + " changed", [=](Chain& c) { at(c)->body[byte] ^= 0x81; }});
  }
  return changes;
}

// Of the chain as a whole.
std::vector<Change> changes_of_all() {
  std::vector<Change> changes{
      {"no payload", [](Chain& c) { c.payloads.clear(); }},
      {"backwards", [](Chain& c) { std::reverse(c.payloads.begin(), c.payloads.end()); }},
      {"130 more",
       [](Chain& c) {
         c.payloads.resize(c.payloads.size() + 130, {13, Bytes(4), 0, {}});
       }},
      {"a payload announced that is not there", [](Chain& c) { c.behind_last = 10; }},
  };
  for (const int type : {1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11,  12,  13, 14,
                         15, 16, 19, 20, 21, 22, 33, 127, 128, 130, 131, 132, 255}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{20}}) {
      changes.push_back(
          {"with one more of type " + std::to_string(type) + ", " + std::to_string(size) + " bytes",
           [=](Chain& c) {
             c.payloads.push_back({static_cast<std::uint8_t>(type), Bytes(size, 1), 0, {}});
           }});
    }
  }
  return changes;
}

// ---- the datagram around it

void set_length(Bytes& data, std::size_t length) {
  for (std::size_t i = 0; i < 4; ++i) data[24 + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
}

void change_header(const Bytes& good, std::vector<BadMessage>& out) {
  const auto with = [&](const std::string& name, std::size_t at, std::uint8_t value) {
    Bytes data = good;
    data[at] = value;
    if (data != good) out.push_back({name + " " + std::to_string(value), std::move(data)});
  };
  for (const int version : {0x00, 0x01, 0x11, 0x20, 0xff})
    with("version", 17, static_cast<std::uint8_t>(version));
  for (const int type : {0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 34, 35, 36, 37, 239, 240, 255})
    with("exchange type", 18, static_cast<std::uint8_t>(type));
  for (int bit = 0; bit < 8; ++bit) with("flags", 19, static_cast<std::uint8_t>(good[19] ^ (1 << bit)));
  for (const int type : {0, 1, 2, 4, 5, 8, 10, 11, 12, 13, 14, 15, 20, 130, 132, 255})
    with("next payload", 16, static_cast<std::uint8_t>(type));
  for (const int byte : {20, 23})
    with("message id", static_cast<std::size_t>(byte), good[static_cast<std::size_t>(byte)] ^ 0x55);
  for (const int byte : {0, 7, 8, 15})
    with("cookies", static_cast<std::size_t>(byte), good[static_cast<std::size_t>(byte)] ^ 0x55);
  Bytes data = good;
  std::swap_ranges(data.begin(), data.begin() + 8, data.begin() + 8);
  out.push_back({"cookies swapped", data});
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{20}}) {
    data = good;
    const std::size_t size = at == 20 ? 4 : 8;
    std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(at), size, std::uint8_t{0});
    if (data != good) out.push_back({"zeros in the header at " + std::to_string(at), data});
  }
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{27}, std::size_t{28}, std::size_t{29}, good.size() - 1,
        good.size() + 1, std::size_t{65535}, std::size_t{0xffffffff}}) {
    data = good;
    set_length(data, length);
    out.push_back({"header's length " + std::to_string(length), data});
  }
}

void cut(const Bytes& good, std::vector<BadMessage>& out) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{27}, std::size_t{28}, std::size_t{31}, std::size_t{32},
        std::size_t{44}, good.size() / 2, good.size() - 16, good.size() - 1}) {
    Bytes data(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(std::min(size, good.size())));
    out.push_back({"cut at " + std::to_string(size), data});
    if (size < wire::kHeaderBytes) continue;
    set_length(data, size);
    out.push_back({"cut and told at " + std::to_string(size), data});
  }
  for (const std::size_t more : {std::size_t{1}, std::size_t{8}, std::size_t{16}}) {
    Bytes data = good;
    data.resize(good.size() + more, 0x5a);
    set_length(data, data.size());
    out.push_back({std::to_string(more) + " bytes more, and told", data});
  }
}

// Ciphertext that was touched: everything behind is garbage.
void spoil(const Bytes& good, std::vector<BadMessage>& out) {
  for (std::size_t at = wire::kHeaderBytes; at < good.size(); at += 16) {
    Bytes data = good;
    data[at] ^= 0x40;
    out.push_back({"byte " + std::to_string(at) + " changed", data});
  }
}

class Workshop {
 public:
  Workshop(const GoodMessage& good, const Insider& insider)
      : good_(good), insider_(insider), header_(*wire::parse_header(good.data)) {
    const Bytes clear = header_.encrypted() ? insider.plaintext(good.data, good.iv)
                                            : to_bytes(wire::body_of(header_, good.data));
    chain_ = take_apart(static_cast<std::uint8_t>(header_.next_payload), clear);
  }

  [[nodiscard]] const Chain& chain() const { return chain_; }

  void add(const std::string& name, const Change& change) {
    Chain changed = chain_;
    change.apply(changed);
    if (put_together(changed) == put_together(chain_)) return;
    out.push_back({name + change.name, assemble(changed, header_.encrypted())});
    // Clear where it should be encrypted, and the other way round.
    if (!header_.encrypted() || change.name == "missing")
      out.push_back({name + change.name + " (toggled)", assemble(changed, !header_.encrypted())});
    if (!good_.hash_1_covers || changed.payloads.empty() || changed.payloads[0].type != 8) return;
    const Bytes bytes = put_together(changed);
    const std::size_t hashed = changed.payloads[0].body.size() + 4;
    const auto rest = ByteView(bytes).subspan(std::min(hashed, bytes.size()));
    changed.payloads[0].body =
        *crypto::hash_1(insider_.policy().hash, *insider_.session().keys, header_.message_id, rest);
    out.push_back({name + change.name + " (authentic)", assemble(changed, true)});
  }

  std::vector<BadMessage> out;

 private:
  [[nodiscard]] Bytes assemble(const Chain& chain, bool encrypted) const {
    const auto first = static_cast<wire::PayloadType>(chain.payloads.empty() ? chain.behind_last
                                                                             : chain.payloads.front().type);
    wire::Header header = header_;
    header.flags = static_cast<std::uint8_t>(encrypted ? header.flags | 1 : header.flags & ~1);
    Bytes body = put_together(chain);
    if (!encrypted) return wire::encode_encrypted(header, first, body);
    if (!insider_.session().keys || good_.iv.empty()) {
      body.resize((body.size() + 15) / 16 * 16, 0x77);
      return wire::encode_encrypted(header, first, body);
    }
    Bytes sealed =
        insider_.seal(header.exchange, header.message_id, first, std::move(body), good_.iv, header.flags);
    const Bytes cookies(good_.data.begin(), good_.data.begin() + 16);
    std::copy(cookies.begin(), cookies.end(), sealed.begin());
    return sealed;
  }

  const GoodMessage& good_;
  const Insider& insider_;
  wire::Header header_;
  Chain chain_;
};

}  // namespace

std::vector<BadMessage> bad_messages(const GoodMessage& good, const Insider& insider) {
  Workshop shop(good, insider);
  for (std::size_t i = 0; i < shop.chain().payloads.size(); ++i) {
    const RawPayload& payload = shop.chain().payloads[i];
    const std::string name = "payload " + std::to_string(i) + " (" +
                             std::string(wire::payload_name(static_cast<wire::PayloadType>(payload.type))) +
                             ") ";
    for (const Change& change : changes_of(i, payload.body.size())) shop.add(name, change);
  }
  for (const Change& change : changes_of_all()) shop.add("", change);
  change_header(good.data, shop.out);
  cut(good.data, shop.out);
  spoil(good.data, shop.out);
  return std::move(shop.out);
}

std::vector<BadMessage> stray_messages(const Insider& insider) {
  std::vector<BadMessage> out;
  wire::Header header;
  header.cookies = insider.session().cookies;
  header.message_id = MessageId{0x1234567};
  const auto add = [&](const std::string& name, wire::ExchangeType type, const wire::Payload& payload) {
    const std::array<wire::Payload, 1> payloads{payload};
    header.exchange = type;
    header.flags = 0;
    out.push_back({name + " in clear", wire::encode(header, payloads)});
    if (!insider.session().keys) return;
    // And one of the wrong protections, each in its turn.
    const Bytes iv = insider.first_iv(header.message_id);
    if (out.size() % 8 < 2) {
      Bytes forged = insider.protect(type, header.message_id, {payload});
      forged.back() ^= 1;
      out.push_back({name + " with a wrong last block", forged});
    } else if (out.size() % 8 < 4) {
      out.push_back(
          {name + " under a wrong IV", insider.protect(type, header.message_id, {payload}, Bytes(16, 9))});
    } else if (out.size() % 8 < 6) {
      const std::vector<wire::Payload> wrong{wire::HashPayload{Bytes(32, 7)}, payload};
      out.push_back(
          {name + " with a wrong hash",
           insider.seal(type, header.message_id, wire::PayloadType::hash, wire::encode_body(wrong), iv)});
    } else {
      out.push_back({name + " without a hash", insider.seal(type, header.message_id, wire::type_of(payload),
                                                            wire::encode_body(payloads), iv)});
    }
  };
  for (const int number :
       {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,    13,    14,    15,    16,    17,    18,   19,
        20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 16384, 24576, 24577, 24578, 36136, 36137, 65535}) {
    const auto type = static_cast<NotifyType>(number);
    for (const std::uint32_t doi : {0U, 1U, 77U}) {
      if (doi != 1 && number % 8 != 0) continue;
      add("notify " + std::to_string(number) + " of DOI " + std::to_string(doi),
          wire::ExchangeType::informational, wire::NotifyPayload{doi, 1, type, {}, Bytes(4, 1)});
    }
  }
  Bytes cookies(header.cookies.initiator.begin(), header.cookies.initiator.end());
  cookies.insert(cookies.end(), header.cookies.responder.begin(), header.cookies.responder.end());
  for (const std::uint8_t protocol : {0, 1, 2, 3, 4, 200}) {
    add("delete of protocol " + std::to_string(protocol), wire::ExchangeType::informational,
        wire::DeletePayload{1, protocol, 16, {cookies}, {}});
    add("delete of no SPI, protocol " + std::to_string(protocol), wire::ExchangeType::informational,
        wire::DeletePayload{1, protocol, 4, {}, {}});
  }
  for (const int type : {0, 1, 2, 3, 4, 6, 7, 31, 32, 33, 34, 240, 255}) {
    add("exchange type " + std::to_string(type), static_cast<wire::ExchangeType>(type),
        wire::AttributesPayload{1, 1, {}});
    add("exchange type " + std::to_string(type) + " with a nonce", static_cast<wire::ExchangeType>(type),
        wire::NoncePayload{Bytes(16, 3)});
  }
  return out;
}

}  // namespace oakgate::sim
