// The core as responder in two recorded Main Modes with a Cisco-like gateway's answers: with the recorded
// cookies, nonces and Diffie-Hellman values it must take every message of the initiator, compute the recorded
// hashes, and in the second (no INITIAL-CONTACT: an SA is there already) send message 6 byte for byte. Then
// Quick Mode's message 1.
#include <gtest/gtest.h>

#include <deque>

#include "ike/crypto/prf.h"
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
        {10, IkeCipher::aes_128, IkeHash::sha, DhGroup::modp1024, AuthMethod::pre_share, Seconds(86400)}};
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

}  // namespace
}  // namespace oakgate::ike
