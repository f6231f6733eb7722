// Real exchanges, decrypted: the recorded ones from the initiator's private key on (tests/vectors/
// recorded-exchanges.json), captures from the cipher key that came with them (tests/vectors/captures). Checks
// the key derivation, the IV chains of RFC 2409 Appendix B, every HASH payload, and that what was decrypted
// is written back to the same bytes.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <map>
#include <sstream>

#include "ike/crypto/cipher.h"
#include "ike/crypto/dh.h"
#include "ike/crypto/keys.h"
#include "ike/crypto/prf.h"
#include "ike/crypto/private_key.h"
#include "ike/wire/message.h"
#include "tests/support/json.h"
#include "tests/support/pcap.h"

namespace oakgate::crypto {
namespace {

using oakgate::test::hex;
using oakgate::test::read_json;

template <typename P>
const P* find(const wire::Body& body) {
  for (const wire::Payload& payload : body.payloads) {
    if (const P* found = std::get_if<P>(&payload)) return found;
  }
  return nullptr;
}

struct Message {
  wire::Header header;
  Bytes plain;  // what was decrypted, padding included; empty for a message in clear
  wire::Body body;
  [[nodiscard]] ByteView behind_first() const {
    return ByteView(plain).subspan(body.first_end, body.length - body.first_end);
  }
};

constexpr std::size_t kMd5Bytes = 16;

struct Suite {
  std::optional<IkeHash> hash;  // none: MD5, which the table lacks but one capture uses
  IkeCipher cipher{};
  DhGroup group{};

  [[nodiscard]] std::size_t hash_bytes() const { return hash ? info(*hash).bytes : kMd5Bytes; }
  [[nodiscard]] Bytes first_iv(ByteView g_xi, ByteView g_xr) const {
    return hash ? phase1_iv(*hash, cipher, g_xi, g_xr).value() : md5_iv(g_xi, g_xr);
  }
  [[nodiscard]] Bytes next_iv(ByteView last, MessageId id) const {
    ByteWriter wire_id;
    wire_id.u32(id.value);
    return hash ? phase2_iv(*hash, cipher, last, id).value() : md5_iv(last, wire_id.view());
  }

 private:
  [[nodiscard]] Bytes md5_iv(ByteView first, ByteView second) const {
    Bytes input = to_bytes(first);
    input.insert(input.end(), second.begin(), second.end());
    Bytes out(kMd5Bytes);
    EXPECT_EQ(EVP_Q_digest(nullptr, "MD5", nullptr, input.data(), input.size(), out.data(), nullptr), 1);
    out.resize(info(cipher).block_bytes);
    return out;
  }
};

std::uint64_t attribute(const wire::Transform& transform, std::uint16_t type) {
  for (const wire::Attribute& a : transform.attributes) {
    if (a.type == type) return a.number().value_or(0);
  }
  return 0;
}

Suite suite_of(const wire::SaPayload& chosen) {
  namespace type = wire::ike_attribute;
  const wire::Transform& t = chosen.proposals.at(0).transforms.at(0);
  return {find_ike_hash(static_cast<std::uint16_t>(attribute(t, type::hash))),
          find_ike_cipher(static_cast<std::uint16_t>(attribute(t, type::encryption)),
                          static_cast<std::uint16_t>(attribute(t, type::key_length)))
              .value(),
          find_dh_group(static_cast<std::uint32_t>(attribute(t, type::group_description))).value()};
}

// The IVs of one ISAKMP SA: one chain for phase 1, one for each message id.
class Decryptor {
 public:
  Decryptor(Suite suite, SecretBytes key, Bytes iv)
      : suite_(suite), key_(std::move(key)), last_phase1_(std::move(iv)) {}

  // Decrypts and parses, checks that it is written back identically, and moves the chain on.
  void open(ByteView datagram, const wire::Header& header, Message& out) {
    const ByteView cipher = wire::body_of(header, datagram);
    const bool phase1 = header.message_id == MessageId{0};
    Bytes& iv = phase1 ? last_phase1_ : chain(header.message_id);
    const auto plain = decrypt(suite_.cipher, key_, iv, cipher);
    ASSERT_TRUE(plain) << plain.error().text;
    EXPECT_EQ(encrypt(suite_.cipher, key_, iv, *plain).value(), to_bytes(cipher));
    iv = to_bytes(cipher.last(iv.size()));
    const auto body = wire::parse_body(header.next_payload, *plain, wire::Padding::allowed);
    ASSERT_TRUE(body) << body.error().text;
    EXPECT_EQ(to_hex(wire::encode_body(body->payloads)), to_hex(ByteView(*plain).first(body->length)));
    const auto* hash = find<wire::HashPayload>(*body);
    if (!phase1 && hash != nullptr) {
      EXPECT_EQ(hash->data.size(), suite_.hash_bytes());
    }
    out = {header, *plain, *body};
  }

 private:
  Bytes& chain(MessageId id) {
    const auto known = chains_.find(id);
    if (known != chains_.end()) return known->second;
    return chains_.emplace(id, suite_.next_iv(last_phase1_, id)).first->second;
  }

  Suite suite_;
  SecretBytes key_;
  Bytes last_phase1_;  // the last ciphertext block of phase 1, or its IV before there is one
  std::map<MessageId, Bytes> chains_;
};

void parse_clear(ByteView datagram, Message& out) {
  const auto header = wire::parse_header(datagram);
  ASSERT_TRUE(header) << header.error().text;
  ASSERT_FALSE(header->encrypted());
  const auto body =
      wire::parse_body(header->next_payload, wire::body_of(*header, datagram), wire::Padding::none);
  ASSERT_TRUE(body) << body.error().text;
  out = {*header, {}, *body};
}

// An exchange with its keys derived and all its messages open.
class Recorded : public testing::Test {
 protected:
  void load(const char* name) {
    exchange_ = read_json("tests/vectors/recorded-exchanges.json").at(name);
    for (const auto& message : exchange_.at("messages")) datagrams_.push_back(hex(message, "hex"));
    messages_.resize(datagrams_.size());
    for (std::size_t i = 0; i < 4; ++i) {
      ASSERT_NO_FATAL_FAILURE(parse_clear(datagrams_[i], messages_[i]));
      EXPECT_EQ(to_hex(wire::encode(messages_[i].header, messages_[i].body.payloads)), to_hex(datagrams_[i]));
    }
    suite_ = suite_of(*find<wire::SaPayload>(messages_[1].body));
    ASSERT_TRUE(suite_.hash);
    hash_ = *suite_.hash;
    g_xi_ = find<wire::KeyExchangePayload>(messages_[2].body)->data;
    g_xr_ = find<wire::KeyExchangePayload>(messages_[3].body)->data;
    cookies_ = messages_[3].header.cookies;
    derive();
    if (HasFatalFailure()) return;
    Decryptor decryptor(suite_, keys_.cipher_key.clone(), suite_.first_iv(g_xi_, g_xr_));
    for (std::size_t i = 4; i < datagrams_.size(); ++i) {
      const auto header = wire::parse_header(datagrams_[i]);
      ASSERT_TRUE(header);
      ASSERT_TRUE(header->encrypted());
      ASSERT_NO_FATAL_FAILURE(decryptor.open(datagrams_[i], *header, messages_[i])) << "message " << i + 1;
    }
  }

  void derive() {
    const auto ours = dh_from_private(suite_.group, hex(exchange_, "dh_private_i"));
    ASSERT_TRUE(ours) << ours.error().text;
    EXPECT_EQ(to_hex(ours->public_value), to_hex(g_xi_));
    auto g_xy = dh_shared(*ours, g_xr_);
    ASSERT_TRUE(g_xy) << g_xy.error().text;
    EXPECT_EQ(to_hex(g_xy->view()), exchange_.at("g_xy"));
    auto skeyid = SecretBytes(hex(exchange_, "skeyid"));
    if (exchange_.at("psk").is_string()) {
      // RFC 2409 section 5: "For pre-shared keys: SKEYID = prf(pre-shared-key, Ni_b | Nr_b)"
      const std::string psk = exchange_.at("psk");
      nonce_i_ = find<wire::NoncePayload>(messages_[2].body)->data;
      nonce_r_ = find<wire::NoncePayload>(messages_[3].body)->data;
      skeyid = prf(hash_, as_bytes(psk), {nonce_i_, nonce_r_}).value();
    }
    if (exchange_.at("psk").is_null()) open_rsa_blocks(skeyid);
    EXPECT_EQ(to_hex(skeyid.view()), exchange_.at("skeyid"));
    auto keys = derive_phase1_keys(hash_, suite_.cipher, std::move(skeyid), *g_xy, cookies_);
    ASSERT_TRUE(keys);
    keys_ = std::move(*keys);
    EXPECT_EQ(to_hex(keys_.skeyid_d.view()), exchange_.at("skeyid_d"));
    EXPECT_EQ(to_hex(keys_.skeyid_a.view()), exchange_.at("skeyid_a"));
    EXPECT_EQ(to_hex(keys_.skeyid_e.view()), exchange_.at("skeyid_e"));
  }

  // Message 4's blocks are for the initiator, whose private key is in the file; message 3's are for the
  // responder: its nonce and identity are what the file says, since HASH_I verifies with them.
  void open_rsa_blocks(SecretBytes& skeyid) {
    const auto key = PrivateKey::parse(
        SecretBytes(as_bytes(exchange_.at("initiator_rsa_private_key_pem").get<std::string>())));
    ASSERT_TRUE(key) << key.error().text;
    const auto nonce = key->decrypt(find<wire::NoncePayload>(messages_[3].body)->data, 8, 256);
    const auto id = key->decrypt(find<wire::IdPayload>(messages_[3].body)->body(), 4, 260);
    ASSERT_TRUE(nonce && id);
    EXPECT_EQ(to_hex(nonce->view()), exchange_.at("nonce_r"));
    EXPECT_EQ(to_hex(id->view()), exchange_.at("id_r"));
    const auto theirs =
        parse_public_key(as_bytes(exchange_.at("responder_rsa_public_key_pem").get<std::string>()));
    ASSERT_TRUE(theirs);
    const std::size_t block = public_key_info(*theirs)->block_bytes;
    EXPECT_EQ(find<wire::NoncePayload>(messages_[2].body)->data.size(), block);
    EXPECT_EQ(find<wire::IdPayload>(messages_[2].body)->body().size(), block);
    nonce_i_ = hex(exchange_, "nonce_i");
    nonce_r_ = to_bytes(nonce->view());
    skeyid = skeyid_for_encryption(hash_, SkeyidForm::ios, nonce_i_, nonce_r_, cookies_).value();
    EXPECT_FALSE(skeyid == *skeyid_for_encryption(hash_, SkeyidForm::rfc, nonce_i_, nonce_r_, cookies_));
  }

  // HASH_I of message 5 and HASH_R of message 6. The identities come from the file: with RSA-encrypted nonces
  // they were sent before, encrypted by RSA.
  void expect_authenticated() {
    const Bytes sa = find<wire::SaPayload>(messages_[0].body)->raw_body;
    const Bytes id_i = hex(exchange_, "id_i");
    const Bytes id_r = hex(exchange_, "id_r");
    const auto i = authentication_hash(hash_, keys_, Role::initiator, {g_xi_, g_xr_, cookies_, sa, id_i});
    const auto r = authentication_hash(hash_, keys_, Role::responder, {g_xr_, g_xi_, cookies_, sa, id_r});
    EXPECT_EQ(to_hex(i.value()), exchange_.at("hash_i"));
    EXPECT_EQ(to_hex(r.value()), exchange_.at("hash_r"));
    EXPECT_EQ(find<wire::HashPayload>(messages_[4].body)->data, i.value());
    EXPECT_EQ(find<wire::HashPayload>(messages_[5].body)->data, r.value());
  }

  // HASH(1), HASH(2), HASH(3) of the Quick Mode in messages 7, 8, 9, and KEYMAT both ways.
  void expect_quick_mode() {
    const MessageId id = messages_[6].header.message_id;
    const Bytes ni = find<wire::NoncePayload>(messages_[6].body)->data;
    const Bytes nr = find<wire::NoncePayload>(messages_[7].body)->data;
    const auto sent = [this](std::size_t i) { return find<wire::HashPayload>(messages_[i].body)->data; };
    EXPECT_EQ(hash_1(hash_, keys_, id, messages_[6].behind_first()).value(), sent(6));
    EXPECT_EQ(hash_2(hash_, keys_, id, ni, messages_[7].behind_first()).value(), sent(7));
    EXPECT_EQ(hash_3(hash_, keys_, id, ni, nr).value(), sent(8));
    const auto& theirs = find<wire::SaPayload>(messages_[7].body)->proposals.at(0);
    EXPECT_EQ(theirs.protocol, wire::kProtocolEsp);
    ByteReader reader(theirs.spi);
    Spi spi;
    ASSERT_TRUE(reader.u32(spi.value));
    const auto keymat_r = keymat(hash_, keys_.skeyid_d, nullptr, theirs.protocol, spi, ni, nr, 16 + 20);
    ASSERT_TRUE(keymat_r);
    EXPECT_EQ(keymat_r->size(), 36U);
  }

  nlohmann::json exchange_;
  std::vector<Bytes> datagrams_;
  std::vector<Message> messages_;
  Suite suite_;
  IkeHash hash_{};
  Bytes g_xi_;
  Bytes g_xr_;
  Bytes nonce_i_;
  Bytes nonce_r_;
  CookiePair cookies_;
  Phase1Keys keys_;
};

TEST_F(Recorded, MainModeWithAPreSharedKeyAndQuickMode) {
  ASSERT_NO_FATAL_FAILURE(load("main-mode-pre-shared-key"));
  ASSERT_EQ(messages_.size(), 9U);
  EXPECT_EQ(suite_.group, DhGroup::modp1024);
  EXPECT_EQ(to_hex(nonce_i_), exchange_.at("nonce_i"));
  EXPECT_EQ(to_hex(nonce_r_), exchange_.at("nonce_r"));
  EXPECT_EQ(to_hex(find<wire::IdPayload>(messages_[4].body)->body()), exchange_.at("id_i"));
  EXPECT_EQ(to_hex(find<wire::IdPayload>(messages_[5].body)->body()), exchange_.at("id_r"));
  expect_authenticated();
  expect_quick_mode();
}

TEST_F(Recorded, MainModeWithAPreSharedKeyAndAResponderLifetimeNotification) {
  ASSERT_NO_FATAL_FAILURE(load("main-mode-psk-with-responder-lifetime-after-m6"));
  ASSERT_EQ(messages_.size(), 7U);
  EXPECT_EQ(to_hex(nonce_i_), exchange_.at("nonce_i"));
  EXPECT_EQ(to_hex(nonce_r_), exchange_.at("nonce_r"));
  EXPECT_EQ(to_hex(find<wire::IdPayload>(messages_[4].body)->body()), exchange_.at("id_i"));
  EXPECT_EQ(to_hex(find<wire::IdPayload>(messages_[5].body)->body()), exchange_.at("id_r"));
  expect_authenticated();
  const Message& last = messages_[6];
  EXPECT_EQ(last.header.exchange, wire::ExchangeType::informational);
  const auto* notify = find<wire::NotifyPayload>(last.body);
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(notify->type, NotifyType::responder_lifetime);
  EXPECT_EQ(hash_1(hash_, keys_, last.header.message_id, last.behind_first()).value(),
            find<wire::HashPayload>(last.body)->data);
}

TEST_F(Recorded, MainModeWithRsaEncryptedNonces) {
  ASSERT_NO_FATAL_FAILURE(load("main-mode-rsa-encrypted-nonces"));
  ASSERT_EQ(messages_.size(), 9U);
  EXPECT_EQ(suite_.group, DhGroup::modp1536);
  expect_authenticated();
  expect_quick_mode();
}

struct Capture {
  const char* file;
  std::size_t opened;
  std::size_t certificates;
};
class Captured : public testing::TestWithParam<Capture> {
 protected:
  // Wireshark's table: initiator cookie, cipher key.
  static SecretBytes key_of(const Cookie& initiator) {
    std::istringstream table(oakgate::test::read_text("tests/vectors/captures/ikev1_decryption_table.tmpl"));
    for (std::string line; std::getline(table, line);) {
      if (line.starts_with(to_hex(initiator) + ",")) return SecretBytes(from_hex(line.substr(17)).value());
    }
    return {};
  }
};

TEST_P(Captured, DecryptFromTheirCipherKey) {
  std::optional<Decryptor> decryptor;
  std::optional<Suite> suite;
  Bytes g_xi;
  std::size_t opened = 0;
  std::size_t certificates = 0;
  Bytes previous;
  for (const auto& datagram : oakgate::test::udp_datagrams(
           oakgate::test::read_file(std::string("tests/vectors/captures/") + GetParam().file))) {
    if (datagram.payload == previous) continue;  // a retransmission does not move the IV
    previous = datagram.payload;
    const auto header = wire::parse_header(datagram.payload);
    ASSERT_TRUE(header);
    Message message;
    if (header->encrypted()) {
      ASSERT_TRUE(decryptor);
      ASSERT_NO_FATAL_FAILURE(decryptor->open(datagram.payload, *header, message)) << "after " << opened;
      ++opened;
      for (const auto& payload : message.body.payloads) {
        if (std::holds_alternative<wire::CertificatePayload>(payload)) ++certificates;
      }
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(parse_clear(datagram.payload, message));
    const auto* sa = find<wire::SaPayload>(message.body);
    const bool from_responder = header->cookies.responder != Cookie{};
    if (sa != nullptr && from_responder) suite = suite_of(*sa);
    const auto* ke = find<wire::KeyExchangePayload>(message.body);
    if (ke == nullptr) continue;
    if (g_xi.empty()) {
      g_xi = ke->data;
      continue;
    }
    ASSERT_TRUE(suite);
    SecretBytes key = key_of(header->cookies.initiator);
    ASSERT_FALSE(key.empty());
    decryptor.emplace(*suite, std::move(key), suite->first_iv(g_xi, ke->data));
  }
  EXPECT_EQ(opened, GetParam().opened);
  EXPECT_EQ(certificates, GetParam().certificates);
}

INSTANTIATE_TEST_SUITE_P(All, Captured,
                         testing::Values(Capture{"ikev1-certs.pcap", 5, 2},
                                         Capture{"ikev1-bug-12610.pcapng", 12, 0},
                                         Capture{"ikev1-bug-12620.pcapng", 7, 0}));

}  // namespace
}  // namespace oakgate::crypto
