// The core as responder in the recorded Main Modes with a Cisco-like gateway's answers: with the recorded
// cookies, nonces and Diffie-Hellman values it must take every message of the initiator, compute the recorded
// hashes, and where an SA is there already (no INITIAL-CONTACT) send message 6 byte for byte. With
// RSA-encrypted nonces the recorded blocks stand in for those that only the responder's private key and the
// initiator's padding could make.
#include <gtest/gtest.h>

#include <deque>

#include "ike/crypto/prf.h"
#include "ike/crypto/private_key.h"
#include "ike/engine.h"
#include "ike/wire/message.h"
#include "tests/support/json.h"

namespace oakgate::ike {
namespace {

const Endpoint kInitiator{*IpAddress::parse("10.0.3.1"), 500};

// Gives out what it was told to, where the length fits; zeros else.
class ScriptedRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    std::fill(out.begin(), out.end(), std::uint8_t{0x42});
    if (script.empty() || script.front().size() != out.size()) return;
    std::copy(script.front().begin(), script.front().end(), out.begin());
    script.pop_front();
  }
  std::deque<Bytes> script;
};

class Recorded : public testing::Test {
 protected:
  void start(std::size_t nonce_bytes) {
    config_.peers.resize(1);
    PeerConfig& peer = config_.peers[0];
    peer.name = "recorded";
    peer.called_from = {Subnet::host(kInitiator.address)};
    peer.policies = {
        {10, IkeCipher::aes_128, IkeHash::sha, DhGroup::modp1024, AuthMethod::pre_share, Seconds(86400)},
        {20, IkeCipher::aes_128, IkeHash::sha, DhGroup::modp1536, AuthMethod::rsa_encr, Seconds(86400)}};
    TunnelConfig tunnel;
    tunnel.name = "any";
    tunnel.pairs = {{Reqid{kReqidBase}, {}}};
    tunnel.transform_sets = {{"aes", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel}};
    tunnel.start = StartMode::responder;
    peer.tunnels = {tunnel};
    config_.limits.nonce_bytes = nonce_bytes;
    engine_.start({now_, rng_, out_}, config_);
  }

  // The exchange's message of that number, from 0.
  [[nodiscard]] static Bytes message(const nlohmann::json& exchange, std::size_t number) {
    return test::hex(exchange.at("messages").at(number), "hex");
  }
  template <typename T>
  [[nodiscard]] static T payload(const Bytes& datagram) {
    const auto header = wire::parse_header(datagram);
    const auto body =
        wire::parse_body(header->next_payload, wire::body_of(*header, datagram), wire::Padding::none);
    for (const auto& one : body->payloads) {
      if (const T* match = std::get_if<T>(&one)) return *match;
    }
    ADD_FAILURE() << "the payload is missing";
    return {};
  }

  void feed(const Bytes& datagram) {
    out_.clear();
    engine_.on_datagram({now_, rng_, out_}, {responder_, kInitiator, datagram});
  }
  void complete(JobId id, JobOutput result) {
    out_.clear();
    engine_.on_completion({now_, rng_, out_}, JobDone{id, std::move(result)});
  }
  template <typename T>
  [[nodiscard]] T* effect() {
    for (Effect& one : out_) {
      if (T* match = std::get_if<T>(&one)) return match;
    }
    return nullptr;
  }

  // Messages 1 to 5; afterwards `out_` holds what message 5 led to.
  void main_mode(const nlohmann::json& exchange) {
    // The responder's identity is its address: the last four bytes of the ID body.
    const Bytes id = test::hex(exchange, "id_r");
    responder_ = {*IpAddress::from_bytes(ByteView(id).last(4)), 500};
    const auto cookies = wire::parse_header(message(exchange, 1))->cookies;
    rng_.script = {Bytes(cookies.responder.begin(), cookies.responder.end()), test::hex(exchange, "nonce_r")};
    feed(message(exchange, 0));
    ASSERT_NE(effect<SendDatagram>(), nullptr);
    EXPECT_EQ(payload<wire::SaPayload>(effect<SendDatagram>()->data),
              payload<wire::SaPayload>(message(exchange, 0)));

    feed(message(exchange, 2));
    auto* job = effect<StartJob>();
    ASSERT_NE(job, nullptr);
    const Bytes recorded_public = payload<wire::KeyExchangePayload>(message(exchange, 3)).data;
    complete(job->id, crypto::DhKeyPair{DhGroup::modp1024, recorded_public, SecretBytes(std::size_t{8})});
    ASSERT_NE(effect<SendDatagram>(), nullptr);
    const Bytes fourth = effect<SendDatagram>()->data;
    EXPECT_EQ(to_hex(payload<wire::KeyExchangePayload>(fourth).data), to_hex(recorded_public));
    EXPECT_EQ(to_hex(payload<wire::NoncePayload>(fourth).data), exchange.at("nonce_r"));

    job = effect<StartJob>();
    ASSERT_NE(job, nullptr);
    EXPECT_EQ(std::get<DhShared>(job->job).peer_public,
              payload<wire::KeyExchangePayload>(message(exchange, 2)).data);
    complete(job->id, SecretBytes(test::hex(exchange, "g_xy")));
    job = effect<StartJob>();
    ASSERT_NE(job, nullptr);
    const auto& prf = std::get<PreSharedKeyPrf>(job->job);
    EXPECT_EQ(to_hex(prf.data),
              exchange.at("nonce_i").get<std::string>() + exchange.at("nonce_r").get<std::string>());
    const std::string key = exchange.at("psk");
    auto skeyid = crypto::prf(prf.prf, as_bytes(key), {prf.data});
    EXPECT_EQ(to_hex(skeyid->view()), exchange.at("skeyid"));
    complete(job->id, std::move(*skeyid));
    feed(message(exchange, 4));
  }

  Endpoint responder_;
  EngineConfig config_;
  Now now_{Instant(Milliseconds(1000)), {}};
  ScriptedRng rng_;
  Effects out_;
  Engine engine_;
};

TEST_F(Recorded, InitiatorsMessagesAreTakenAndMessageSixIsTheRecordedOne) {
  const auto exchanges = test::read_json("tests/vectors/recorded-exchanges.json");
  start(32);
  main_mode(exchanges.at("main-mode-pre-shared-key"));
  ASSERT_NE(effect<SendDatagram>(), nullptr) << "HASH_I of the recorded initiator verifies";
  ASSERT_EQ(engine_.snapshot({}).at(0).state, PeerState::established);
  EXPECT_EQ(engine_.snapshot({}).at(0).isakmp_sas.at(0).remote_identity, "10.0.3.1");
  EXPECT_EQ(engine_.snapshot({}).at(0).isakmp_sas.at(0).policy->lifetime, Seconds(28800))
      << "theirs is shorter";

  const auto& second = exchanges.at("main-mode-psk-with-responder-lifetime-after-m6");
  config_.limits.nonce_bytes = 20;
  out_.clear();
  engine_.on_command({now_, rng_, out_}, Reconfigure{config_});
  main_mode(second);
  ASSERT_NE(effect<SendDatagram>(), nullptr);
  EXPECT_EQ(to_hex(effect<SendDatagram>()->data), to_hex(message(second, 5)));
  EXPECT_EQ(engine_.snapshot({}).at(0).isakmp_sas.size(), 2U);
}

TEST_F(Recorded, RsaEncryptedNoncesInTheFormOfIos) {
  const auto exchanges = test::read_json("tests/vectors/recorded-exchanges.json");
  const auto& exchange = exchanges.at("main-mode-rsa-encrypted-nonces");
  const auto initiators = crypto::PrivateKey::parse(
      SecretBytes(as_bytes(exchange.at("initiator_rsa_private_key_pem").get<std::string>())));
  ASSERT_TRUE(initiators);
  start(20);
  config_.peers[0].rsa_encryption = RsaEncryption{
      {{"initiator", initiators->public_key()}},
      "own",
      crypto::parse_public_key(as_bytes(exchange.at("responder_rsa_public_key_pem").get<std::string>()))
          .value(),
      SkeyidForm::automatic};
  engine_.on_command({now_, rng_, out_}, Reconfigure{config_});
  main_mode(exchanges.at("main-mode-psk-with-responder-lifetime-after-m6"));
  ASSERT_EQ(engine_.snapshot({}).at(0).isakmp_sas.size(), 1U);

  const auto cookies = wire::parse_header(message(exchange, 1))->cookies;
  const Bytes nonce_r = test::hex(exchange, "nonce_r");
  rng_.script = {Bytes(cookies.responder.begin(), cookies.responder.end()), nonce_r};
  feed(message(exchange, 0));
  ASSERT_NE(effect<SendDatagram>(), nullptr);

  // Message 3: the two blocks go to the KeyStore.
  feed(message(exchange, 2));
  auto* job = effect<StartJob>();
  ASSERT_NE(job, nullptr);
  const auto& decrypt = std::get<DecryptBlocks>(job->job);
  EXPECT_EQ(decrypt.key, "own");
  ASSERT_EQ(decrypt.blocks.size(), 2U);
  EXPECT_EQ(decrypt.blocks[0].data, payload<wire::NoncePayload>(message(exchange, 2)).data);
  EXPECT_EQ(decrypt.blocks[1].data, payload<wire::IdPayload>(message(exchange, 2)).body());
  std::vector<SecretBytes> opened;
  opened.emplace_back(test::hex(exchange, "nonce_i"));
  opened.emplace_back(test::hex(exchange, "id_i"));
  complete(job->id, std::move(opened));
  job = effect<StartJob>();
  ASSERT_NE(job, nullptr);
  const auto fourth = message(exchange, 3);
  complete(job->id, crypto::DhKeyPair{DhGroup::modp1536, payload<wire::KeyExchangePayload>(fourth).data,
                                      SecretBytes(std::size_t{8})});
  // Message 4: our nonce and identity are what the initiator finds in the recorded blocks.
  job = effect<StartJob>();
  ASSERT_NE(job, nullptr);
  const auto& encrypt = std::get<EncryptBlocks>(job->job);
  EXPECT_EQ(encrypt.spki, initiators->public_key());
  const std::vector<Bytes> blocks{payload<wire::NoncePayload>(fourth).data,
                                  payload<wire::IdPayload>(fourth).body()};
  ASSERT_EQ(encrypt.contents.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(encrypt.contents[i], *initiators->decrypt(blocks[i], 5, 256)) << i;
  }
  complete(job->id, blocks);
  ASSERT_NE(effect<SendDatagram>(), nullptr);
  const Bytes sent = effect<SendDatagram>()->data;
  EXPECT_EQ(payload<wire::KeyExchangePayload>(sent), payload<wire::KeyExchangePayload>(fourth));
  EXPECT_EQ(payload<wire::IdPayload>(sent), payload<wire::IdPayload>(fourth));
  EXPECT_EQ(payload<wire::NoncePayload>(sent), payload<wire::NoncePayload>(fourth));
  job = effect<StartJob>();
  ASSERT_NE(job, nullptr);
  complete(job->id, SecretBytes(test::hex(exchange, "g_xy")));

  // Message 5 is under the keys of the ios form; message 6 is the recorded one.
  feed(message(exchange, 4));
  ASSERT_NE(effect<SendDatagram>(), nullptr) << "HASH_I of the recorded initiator verifies";
  EXPECT_EQ(to_hex(effect<SendDatagram>()->data), to_hex(message(exchange, 5)));
  const auto sas = engine_.snapshot({}).at(0).isakmp_sas;
  ASSERT_EQ(sas.size(), 2U);
  EXPECT_EQ(sas.at(0).policy->authentication, AuthMethod::rsa_encr);
  EXPECT_EQ(sas.at(0).remote_identity, "10.0.3.1");
}

}  // namespace
}  // namespace oakgate::ike
