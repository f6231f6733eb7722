// RSA-encrypted nonces with real RSA and Diffie-Hellman, message by message: RFC 2409 sections 5.2 and 5.3.
// Above all that nothing before HASH tells what an encrypted body held (CVE-2018-0131): for every malformed
// block the same jobs, the same events and a next message of the same shape.
#include "ike/rsa_encryption.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "ike/crypto/dh.h"
#include "ike/crypto/private_key.h"
#include "ike/engine.h"

namespace oakgate::ike {
namespace {

using wire::Payload;
using wire::PayloadType;

constexpr AuthMethod kMethods[] = {AuthMethod::rsa_encr, AuthMethod::rsa_encr_rev};
const Endpoint kInitiator{*IpAddress::parse("192.0.2.1"), 500};
const Endpoint kResponder{*IpAddress::parse("192.0.2.2"), 500};

class SeededRng final : public Rng {
 public:
  explicit SeededRng(unsigned seed) : engine_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }

 private:
  std::mt19937 engine_;
};

crypto::PrivateKey make_key(int bits) {
  auto key = crypto::PrivateKey::generate_rsa(bits);
  EXPECT_TRUE(key) << key.error().text;
  return std::move(*key);
}

struct Keys {
  const crypto::PrivateKey& initiator;
  const crypto::PrivateKey& responder;
};
const Keys& usual_keys() {
  static const crypto::PrivateKey initiator = make_key(1024);
  static const crypto::PrivateKey responder = make_key(1024);
  static const Keys keys{initiator, responder};
  return keys;
}

struct Setup {
  AuthMethod method = AuthMethod::rsa_encr;
  DhGroup group = DhGroup::ecp256;
  SkeyidForm skeyid = SkeyidForm::automatic;  // the responder's
  std::size_t nonce_bytes = 20;
  Keys keys = usual_keys();
};

// One gateway, its jobs done at once. With the same seed it chooses the same cookies, nonces and key pairs.
class Side {
 public:
  Side(Role role, const Setup& setup)
      : key_(role == Role::initiator ? setup.keys.initiator : setup.keys.responder),
        self_(role == Role::initiator ? kInitiator : kResponder),
        other_(role == Role::initiator ? kResponder : kInitiator),
        rng_(role == Role::initiator ? 1 : 2) {
    EngineConfig config;
    PeerConfig peer;
    peer.name = "peer";
    peer.called_from = {Subnet::host(other_.address)};
    peer.policies = {{10, IkeCipher::aes_128, IkeHash::sha, setup.group, setup.method, Seconds(86400)}};
    const crypto::PrivateKey& theirs = role == Role::initiator ? setup.keys.responder : setup.keys.initiator;
    peer.rsa_encryption = RsaEncryption{{{"peer", theirs.public_key()}},
                                        "own",
                                        key_.public_key(),
                                        role == Role::responder           ? setup.skeyid
                                        : setup.skeyid == SkeyidForm::ios ? SkeyidForm::ios
                                                                          : SkeyidForm::rfc};
    TunnelConfig tunnel;
    tunnel.name = "lan";
    tunnel.pairs = {{Reqid{kReqidBase}, {}}};
    tunnel.transform_sets = {{"aes", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel}};
    tunnel.start = StartMode::responder;
    peer.tunnels = {tunnel};
    config.peers = {peer};
    config.limits.nonce_bytes = setup.nonce_bytes;
    call([&](const Context& context) { engine_.start(context, config); });
    call([&](const Context& context) {
      engine_.on_command(context, SetPeerAddresses{"peer", self_.address, other_.address, std::nullopt});
    });
  }

  void begin() {
    call([&](const Context& context) { engine_.on_command(context, Up{CommandId{1}, "peer", ""}); });
  }
  // What it sends in answer; empty: nothing.
  Bytes feed(const Bytes& datagram) {
    events.clear();
    jobs.clear();
    sent.clear();
    call([&](const Context& context) { engine_.on_datagram(context, {self_, other_, datagram}); });
    return sent.empty() ? Bytes{} : sent.front();
  }
  [[nodiscard]] bool established() const {
    return engine_.snapshot({}).at(0).state == PeerState::established;
  }

  std::vector<Bytes> sent;
  std::vector<Event> events;
  std::vector<std::string> jobs;  // what was asked for, without the secrets

 private:
  void call(const std::function<void(const Context&)>& input) {
    Effects effects;
    input({now_, rng_, effects});
    for (Effect& effect : effects) {
      if (auto* send = std::get_if<SendDatagram>(&effect)) sent.push_back(std::move(send->data));
      if (auto* raise = std::get_if<Raise>(&effect)) events.push_back(std::move(raise->event));
      if (auto* start = std::get_if<StartJob>(&effect)) {
        call([&](const Context& context) {
          engine_.on_completion(context, JobDone{start->id, run(start->job)});
        });
      }
    }
  }

  Result<JobOutput> run(Job& job) {
    if (const auto* generate = std::get_if<DhGenerate>(&job)) {
      jobs.emplace_back("generate");
      return JobOutput(key_pair(generate->group).clone());
    }
    if (auto* share = std::get_if<DhShared>(&job)) {
      jobs.emplace_back("share");
      auto shared = crypto::dh_shared(share->ours, share->peer_public);
      if (!shared) return fail(std::move(shared.error()));
      return JobOutput(std::move(*shared));
    }
    if (const auto* encrypt = std::get_if<EncryptBlocks>(&job)) {
      std::vector<Bytes> blocks;
      for (const SecretBytes& content : encrypt->contents) {
        blocks.push_back(crypto::rsa_encrypt(encrypt->spki, content.view()).value());
      }
      jobs.push_back("encrypt " + std::to_string(blocks.size()) + " to " + to_hex(encrypt->spki));
      return JobOutput(std::move(blocks));
    }
    const auto& decrypt = std::get<DecryptBlocks>(job);
    std::vector<SecretBytes> contents;
    for (const auto& block : decrypt.blocks) {
      auto content = key_.decrypt(block.data, block.at_least, block.at_most);
      EXPECT_TRUE(content) << "no error whatever the block is";
      contents.push_back(std::move(*content));
    }
    jobs.push_back("decrypt " + std::to_string(contents.size()));
    return JobOutput(std::move(contents));
  }

  const crypto::DhKeyPair& key_pair(DhGroup group) const {
    static std::map<std::pair<Endpoint, DhGroup>, crypto::DhKeyPair> made;
    const std::pair key(self_, group);
    if (!made.contains(key)) made.emplace(key, crypto::dh_generate(group).value());
    return made.at(key);
  }

  const crypto::PrivateKey& key_;
  Endpoint self_;
  Endpoint other_;
  SeededRng rng_;
  Now now_{Instant(Milliseconds(1000)), {}};
  Engine engine_;
};

wire::Body parse(const Bytes& datagram) {
  const auto header = wire::parse_header(datagram);
  auto body = wire::parse_body(header->next_payload, wire::body_of(*header, datagram), wire::Padding::none);
  EXPECT_TRUE(body);
  return std::move(*body);
}

Bytes with_payloads(const Bytes& datagram, const std::vector<Payload>& payloads) {
  return wire::encode(*wire::parse_header(datagram), payloads);
}

// The datagram with another body in its payload of that type.
Bytes with_body(const Bytes& datagram, PayloadType type, const Bytes& body) {
  std::vector<Payload> payloads = parse(datagram).payloads;
  for (Payload& payload : payloads) {
    if (wire::type_of(payload) != type) continue;
    if (type == PayloadType::identification) payload = wire::UnknownPayload{type, body};
    if (auto* nonce = std::get_if<wire::NoncePayload>(&payload)) nonce->data = body;
    if (auto* ke = std::get_if<wire::KeyExchangePayload>(&payload)) ke->data = body;
  }
  return with_payloads(datagram, payloads);
}

// Payload types and their lengths, in order.
std::string shape(const Bytes& datagram) {
  std::string text;
  for (const Payload& payload : parse(datagram).payloads) {
    text += std::string(wire::payload_name(wire::type_of(payload))) + " " +
            std::to_string(wire::encode_body(std::span(&payload, 1)).size()) + ", ";
  }
  return text + std::to_string(datagram.size());
}

std::string event_names(const Side& side) {
  std::string text;
  for (const Event& event : side.events) text += std::string(to_string(event.id)) + " ";
  return text;
}

// An exchange between two honest gateways, its messages kept.
struct Honest {
  explicit Honest(const Setup& of)
      : setup(of), initiator(Role::initiator, of), responder(Role::responder, of) {
    initiator.begin();
    messages.push_back(initiator.sent.at(0));
    for (int i = 0; i < 5; ++i) {
      Side& next = i % 2 == 0 ? responder : initiator;
      messages.push_back(next.feed(messages.back()));
      shown.push_back({next.jobs, event_names(next)});
    }
    initiator.feed(messages.back());
  }
  // A responder that has taken message 1 and sent message 2.
  [[nodiscard]] std::unique_ptr<Side> fresh_responder() const {
    auto side = std::make_unique<Side>(Role::responder, setup);
    EXPECT_EQ(to_hex(side->feed(messages[0])), to_hex(messages[1]));
    return side;
  }
  // An initiator that has sent message 3.
  [[nodiscard]] std::unique_ptr<Side> fresh_initiator() const {
    auto side = std::make_unique<Side>(Role::initiator, setup);
    side->begin();
    EXPECT_EQ(shape(side->feed(messages[1])), shape(messages[2]));
    return side;
  }
  struct Shown {
    std::vector<std::string> jobs;
    std::string events;
  };
  Setup setup;
  Side initiator;
  Side responder;
  std::vector<Bytes> messages;
  std::vector<Shown> shown;  // while each message but the first was made
};

TEST(RsaEncryption, EstablishesInBothModesAndFormsAndEveryKindOfGroup) {
  for (const AuthMethod method : kMethods) {
    for (const DhGroup group : {DhGroup::modp1024, DhGroup::ecp256}) {
      for (const SkeyidForm form : {SkeyidForm::rfc, SkeyidForm::ios, SkeyidForm::automatic}) {
        const Honest honest({method, group, form});
        EXPECT_TRUE(honest.initiator.established()) << info(method).name;
        EXPECT_TRUE(honest.responder.established()) << info(method).name;
      }
    }
  }
}

TEST(RsaEncryption, SendsThePayloadsInTheOrderOfIosAndOfTheRfc) {
  const Honest plain({AuthMethod::rsa_encr});
  for (const int message : {2, 3}) {
    EXPECT_EQ(shape(plain.messages.at(static_cast<std::size_t>(message))),
              "KE 68, ID 132, NONCE 132, NAT-D 24, NAT-D 24, 408");
  }
  const Honest revised({AuthMethod::rsa_encr_rev});
  for (const int message : {2, 3}) {
    EXPECT_EQ(shape(revised.messages.at(static_cast<std::size_t>(message))),
              "NONCE 132, KE 84, ID 20, NAT-D 36, NAT-D 36, 336");
  }
}

TEST(RsaEncryption, ShortKeysCarryWhatFits) {
  static const crypto::PrivateKey a = make_key(512);
  static const crypto::PrivateKey b = make_key(512);
  for (const AuthMethod method : kMethods) {
    const Honest honest({method, DhGroup::ecp256, SkeyidForm::automatic, 256, {a, b}});
    EXPECT_TRUE(honest.initiator.established());
    EXPECT_TRUE(honest.responder.established());
  }
}

TEST(RsaEncryption, TakesThePayloadsInAnyOrder) {
  const Honest honest({AuthMethod::rsa_encr});
  std::vector<Payload> payloads = parse(honest.messages[2]).payloads;
  std::vector<std::size_t> order{0, 1, 2};
  int orders = 0;
  do {
    std::vector<Payload> moved;
    moved.emplace_back(wire::VendorIdPayload{Bytes(16, 7)});
    for (const std::size_t i : order) moved.push_back(payloads[i]);
    moved.emplace_back(wire::HashPayload{Bytes(20, 9)});  // HASH(1), of whatever
    moved.insert(moved.end(), payloads.begin() + 3, payloads.end());
    const auto side = honest.fresh_responder();
    EXPECT_EQ(shape(side->feed(with_payloads(honest.messages[2], moved))), shape(honest.messages[3]));
    side->feed(honest.messages[4]);
    EXPECT_TRUE(side->established());
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orders, 6);
}

TEST(RsaEncryption, TheRevisedModesNonceComesFirstAndHashMayStandBeforeIt) {
  const Honest honest({AuthMethod::rsa_encr_rev});
  std::vector<Payload> payloads = parse(honest.messages[2]).payloads;
  std::vector<Payload> with_hash = payloads;
  with_hash.insert(with_hash.begin(), wire::HashPayload{Bytes(20, 9)});
  auto side = honest.fresh_responder();
  EXPECT_EQ(shape(side->feed(with_payloads(honest.messages[2], with_hash))), shape(honest.messages[3]));
  side->feed(honest.messages[4]);
  EXPECT_TRUE(side->established());

  std::swap(payloads[0], payloads[1]);
  side = honest.fresh_responder();
  const Bytes refusal = side->feed(with_payloads(honest.messages[2], payloads));
  const auto body = parse(refusal);
  const auto* notify = std::get_if<wire::NotifyPayload>(&body.payloads.at(0));
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(notify->type, NotifyType::payload_malformed);
  // Nothing has moved: the genuine message is taken.
  EXPECT_EQ(shape(side->feed(honest.messages[2])), shape(honest.messages[3]));
}

TEST(RsaEncryption, TheRevisedModesNatDetectionMayBeInClear) {
  const Honest honest({AuthMethod::rsa_encr_rev});
  std::vector<Payload> payloads = parse(honest.messages[2]).payloads;
  auto plain =
      nat_detection_payloads(IkeHash::sha, wire::parse_header(honest.messages[2])->cookies, kInitiator,
                             {*IpAddress::parse("198.51.100.1"), 500}, *find_nat_form(NatTraversal::rfc));
  payloads.resize(3);
  payloads.insert(payloads.end(), plain->begin(), plain->end());
  const auto side = honest.fresh_responder();
  side->feed(with_payloads(honest.messages[2], payloads));
  EXPECT_EQ(event_names(*side), "") << "not before HASH_I";
  side->feed(honest.messages[4]);
  EXPECT_NE(event_names(*side).find("nat-detected"), std::string::npos);
  EXPECT_TRUE(side->established());
}

// ---- what must not show

Bytes raw_encrypt(const crypto::PrivateKey& key, const Bytes& block) {
  const crypto::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  Bytes out(block.size());
  std::size_t size = out.size();
  EVP_PKEY_encrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING);
  EXPECT_EQ(EVP_PKEY_encrypt(context.get(), out.data(), &size, block.data(), block.size()), 1);
  return out;
}

// Blocks to `key` that are not what they should be, by name.
std::map<std::string, Bytes> bad_blocks(const crypto::PrivateKey& key) {
  std::map<std::string, Bytes> blocks;
  const std::size_t size = key.info().block_bytes;
  for (const std::size_t wrong : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{5}, size - 1,
                                  size + 1, 2 * size, std::size_t{4000}}) {
    blocks["length " + std::to_string(wrong)] = Bytes(wrong, 0x5c);
  }
  blocks["zero"] = Bytes(size, 0);
  blocks["all ones"] = Bytes(size, 0xff);
  Bytes one(size, 0);
  one.back() = 1;
  blocks["1"] = one;
  SeededRng rng(77);
  Bytes garbage(size);
  rng.fill(garbage);
  garbage[0] = 0;
  blocks["garbage"] = garbage;
  const auto padded = [&](std::uint8_t type, std::size_t content) {
    Bytes block(size, 0x33);
    block[0] = 0;
    block[1] = type;
    block[size - content - 1] = 0;
    return block;
  };
  blocks["a wrong nonce"] = raw_encrypt(key, padded(2, 20));
  blocks["an identity of another"] = raw_encrypt(key, padded(2, 8));
  blocks["block type 1"] = raw_encrypt(key, padded(1, 20));
  blocks["content too short"] = raw_encrypt(key, padded(2, 4));
  blocks["no content"] = raw_encrypt(key, padded(2, 0));
  blocks["padding too short"] = raw_encrypt(key, padded(2, size - 6));
  Bytes endless(size, 0x33);
  endless[0] = 0;
  endless[1] = 2;
  blocks["no separator"] = raw_encrypt(key, endless);
  return blocks;
}

TEST(Oracle, NoMalformedBlockChangesMessageFour) {
  for (const AuthMethod method : kMethods) {
    const Honest honest({method});
    std::set<std::string> refusals;
    int tried = 0;
    for (const PayloadType type : {PayloadType::nonce, PayloadType::identification}) {
      if (type == PayloadType::identification && method == AuthMethod::rsa_encr_rev) continue;
      for (const auto& [name, block] : bad_blocks(usual_keys().responder)) {
        SCOPED_TRACE(std::string(info(method).name) + ", " + std::string(wire::payload_name(type)) + ": " +
                     name);
        const auto side = honest.fresh_responder();
        const Bytes fourth = side->feed(with_body(honest.messages[2], type, block));
        ASSERT_FALSE(fourth.empty());
        EXPECT_EQ(side->sent.size(), 1U);
        EXPECT_EQ(shape(fourth), shape(honest.messages[3]));
        EXPECT_EQ(side->jobs, honest.shown[2].jobs);
        EXPECT_EQ(event_names(*side), honest.shown[2].events);
        // It fails at HASH, whatever it was.
        const Bytes refusal = side->feed(honest.messages[4]);
        EXPECT_FALSE(side->established());
        refusals.insert(shape(refusal) + " " + event_names(*side) +
                        to_hex(refusal).substr(2 * wire::kHeaderBytes));
        ++tried;
      }
    }
    EXPECT_GE(tried, 15);
    EXPECT_EQ(refusals.size(), 1U) << "all refused in the same way: " << *refusals.begin();
  }
}

// What follows the nonce of the revised mode is under a key that nobody can know who does not know the nonce.
TEST(Oracle, NothingBehindTheRevisedModesNonceChangesMessageFour) {
  const Honest honest({AuthMethod::rsa_encr_rev});
  for (const PayloadType type : {PayloadType::key_exchange, PayloadType::identification}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{4}, std::size_t{15}, std::size_t{16},
                                   std::size_t{64}, std::size_t{80}, std::size_t{4096}}) {
      for (const std::uint8_t fill : {0x00, 0x5c, 0xff}) {
        SCOPED_TRACE(std::string(wire::payload_name(type)) + " of " + std::to_string(size));
        const auto side = honest.fresh_responder();
        const Bytes fourth = side->feed(with_body(honest.messages[2], type, Bytes(size, fill)));
        ASSERT_FALSE(fourth.empty());
        EXPECT_EQ(shape(fourth), shape(honest.messages[3]));
        EXPECT_EQ(side->jobs, honest.shown[2].jobs);
        EXPECT_EQ(event_names(*side), honest.shown[2].events);
        side->feed(honest.messages[4]);
        EXPECT_FALSE(side->established());
      }
    }
  }
}

// Even a public value that is no point of the curve, properly encrypted, is answered.
TEST(Oracle, APublicValueThatIsNoneIsAnsweredInTheRevisedMode) {
  const Honest honest({AuthMethod::rsa_encr_rev});
  const Bytes nonce(20, 0x11);
  for (const std::size_t size : {64U, 63U, 65U, 0U}) {
    auto cipher = RevisedCipher::make(IkeHash::sha, IkeCipher::aes_128, nonce,
                                      wire::parse_header(honest.messages[2])->cookies.initiator);
    ASSERT_TRUE(cipher);
    std::vector<Payload> payloads;
    payloads.emplace_back(
        wire::NoncePayload{crypto::rsa_encrypt(usual_keys().responder.public_key(), nonce).value()});
    payloads.emplace_back(wire::KeyExchangePayload{cipher->seal(Bytes(size, 0x22)).value()});
    payloads.emplace_back(id_of_body(cipher->seal(from_hex("011101f4c0000201").value()).value()));
    const auto side = honest.fresh_responder();
    const Bytes fourth = side->feed(with_payloads(honest.messages[2], payloads));
    EXPECT_EQ(shape(fourth), shape(honest.messages[3])) << size;
    EXPECT_EQ(side->jobs, honest.shown[2].jobs) << size;
    EXPECT_EQ(event_names(*side), honest.shown[2].events) << size;
  }
}

TEST(Oracle, NoMalformedBlockChangesMessageFive) {
  for (const AuthMethod method : kMethods) {
    const Honest honest({method});
    const auto length = honest.messages[4].size();
    for (const PayloadType type : {PayloadType::nonce, PayloadType::identification}) {
      if (type == PayloadType::identification && method == AuthMethod::rsa_encr_rev) continue;
      for (const auto& [name, block] : bad_blocks(usual_keys().initiator)) {
        SCOPED_TRACE(std::string(info(method).name) + ": " + name);
        const auto side = honest.fresh_initiator();
        const Bytes fifth = side->feed(with_body(honest.messages[3], type, block));
        EXPECT_EQ(fifth.size(), length);
        EXPECT_EQ(side->jobs, honest.shown[3].jobs);
        EXPECT_EQ(event_names(*side), honest.shown[3].events);
        side->feed(honest.messages[5]);
        EXPECT_FALSE(side->established());
      }
    }
  }
}

// In the first mode KE is in clear: a value that is none is refused before anything is decrypted.
TEST(RsaEncryption, AWrongPublicValueInClearIsRefusedAtOnce) {
  const Honest honest({AuthMethod::rsa_encr});
  const auto side = honest.fresh_responder();
  const Bytes refusal = side->feed(with_body(honest.messages[2], PayloadType::key_exchange, Bytes(63, 1)));
  EXPECT_TRUE(side->jobs.empty());
  const auto body = parse(refusal);
  const auto* notify = std::get_if<wire::NotifyPayload>(&body.payloads.at(0));
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(notify->type, NotifyType::invalid_key_information);
  EXPECT_EQ(shape(side->feed(honest.messages[2])), shape(honest.messages[3]));
}

TEST(RsaEncryption, AHashOfAnotherIsRefusedAndTheGenuineOneTaken) {
  const Honest honest({AuthMethod::rsa_encr});
  const auto side = honest.fresh_responder();
  side->feed(honest.messages[2]);
  Bytes forged = honest.messages[4];
  forged.back() ^= 1;
  forged[40] ^= 1;
  side->feed(forged);
  EXPECT_FALSE(side->established());
  side->feed(honest.messages[4]);
  EXPECT_TRUE(side->established());
}

}  // namespace
}  // namespace oakgate::ike
