// Thousands of malformed and misplaced messages, built by payload and state (bad_messages.h), against each
// role in each state of Main Mode, Aggressive Mode and Quick Mode, and against an established SA in
// Informational, Transaction and New Group Mode. After each one:
//
//   - no answer is longer than what was asked, and there is one at most;
//   - few events tell of it;
//   - what was authenticated is as it was;
//   - the negotiation under way, or the next one, ends well, and a new Quick Mode under its IKE SA too.
#include <gtest/gtest.h>

#include <set>

#include "tests/sim/bad_messages.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using wire::ExchangeType;

constexpr std::size_t kMostEvents = 9;  // of one message: three vendor IDs, and what it leads to included

constexpr std::uint64_t kManyRuns = 1000;

// One place a bad message can come to.
struct Place {
  bool aggressive = false;
  int exchanged = 0;  // so many messages of the negotiation have passed
  bool at_initiator = false;
  AuthMethod method = AuthMethod::pre_share;
  // Instead of the negotiation's next: one of these, when all is up.
  std::optional<ExchangeType> established{};
};

std::string name_of(const Place& place) {
  std::string name = place.aggressive ? "Aggressive Mode, " : "Main Mode, ";
  name += place.at_initiator ? "initiator after " : "responder after ";
  name += std::to_string(place.exchanged) + " messages";
  if (place.method != AuthMethod::pre_share) name += ", " + std::string(info(place.method).name);
  if (place.established) name += ", " + std::string(wire::exchange_name(*place.established));
  return name;
}

struct Captured {
  Bytes data;
  Bytes iv;
  bool to_initiator = false;
  bool begins_quick_mode = false;
};

class Scene {
 public:
  explicit Scene(const Place& place)
      : two(1, tunnels()), insider(two.net, two.a, two.b), inner_(two.net.tap), place_(place) {
    for (Gateway* gateway : {&two.a, &two.b}) {
      gateway->config().peers.front().aggressive = place.aggressive;
      gateway->config().peers.front().policies.resize(1);
    }
    if (info(place.method).signs) use_certificates(two.a, two.b, place.method);
    if (info(place.method).encrypts) use_rsa_encryption(two.a, two.b, place.method);
    two.net.faults.job_delay = Milliseconds(1);
    two.net.tap = [this](const Endpoint& from, const Endpoint& to, Bytes& data) {
      return pass(from, to, data);
    };
    two.start();
    two.net.run_for(Milliseconds(150));
  }

  [[nodiscard]] Gateway& target() { return place_.at_initiator ? two.a : two.b; }
  [[nodiscard]] Gateway& sender() { return place_.at_initiator ? two.b : two.a; }

  // The message that is awaited there; else the last one that came; else the other side's.
  [[nodiscard]] GoodMessage good() {
    if (place_.established) return established_message();
    const auto here = [&](const Captured& one) { return one.to_initiator == place_.at_initiator; };
    const auto next = std::find_if(dropped_.begin(), dropped_.end(), here);
    const auto last = std::find_if(passed_.rbegin(), passed_.rend(), here);
    const Captured& one = next != dropped_.end() ? *next : last != passed_.rend() ? *last : dropped_.front();
    return {one.data, one.iv, one.begins_quick_mode};
  }

  // Empty, or what is wrong.
  std::string feed(const Bytes& data) {
    const auto before = authenticated();
    const std::size_t events = target().events.size();
    answers_.clear();
    open_ = true;  // if it is taken as good, its answer is not lost
    target().receive({target().address, 500}, {sender().address, 500}, data);
    const bool rejected =
        std::any_of(target().events.begin() + static_cast<std::ptrdiff_t>(events), target().events.end(),
                    [](const auto& e) { return e.error.has_value(); });
    std::size_t longest = 0;
    for (const Bytes& answer : answers_) {
      // A message of ours may be repeated to who has shown that it had it: its own bound is the number of
      // tries.
      if (!sent_before(answer) || !shows_our_cookie(data)) longest = std::max(longest, answer.size());
    }
    if (answers_.size() > 1) return std::to_string(answers_.size()) + " answers";
    // What was taken as good all the same gets its answer.
    if (rejected && longest > data.size())
      return "an answer of " + std::to_string(longest) + " bytes to " + std::to_string(data.size());
    two.net.run_for(Milliseconds(10));
    open_ = false;
    if (target().events.size() - events > kMostEvents)
      return std::to_string(target().events.size() - events) + " events";
    const auto after = authenticated();
    for (const std::string& one : before) {
      if (!after.contains(one)) return "an authenticated SA has changed: " + one;
    }
    return {};
  }

  std::string go_on() {
    two.net.tap = inner_;
    if (!two.net.run_for(Seconds(180), [&] { return lan_up(two.a) && lan_up(two.b); }))
      return "the negotiation does not end well";
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", "second"});
    two.net.run_for(Seconds(60), [&] { return two.a.command_results.contains(1); });
    if (!two.a.command_results.contains(1) || !two.a.command_results.at(1)) return "no Quick Mode afterwards";
    return two.a.send_traffic(Reqid{kFirst}, two.b) && two.b.send_traffic(Reqid{kFirst}, two.a)
               ? std::string()
               : "no traffic passes";
  }

  TwoGateways two;
  Insider insider;

 private:
  static std::vector<TunnelPlan> tunnels() {
    TunnelPlan second = plan(StartMode::responder, StartMode::responder);
    second.name = "second";
    second.local = {"10.3.0.0/24"};
    return {plan(StartMode::on_start, StartMode::responder), second};
  }
  [[nodiscard]] bool sent_before(const Bytes& answer) const {
    const auto same = [&](const Captured& one) { return one.data == answer; };
    // The last one is the answer itself.
    return std::count_if(passed_.begin(), passed_.end(), same) +
               std::count_if(dropped_.begin(), dropped_.end(), same) >
           1;
  }
  [[nodiscard]] bool shows_our_cookie(const Bytes& data) const {
    const auto header = wire::parse_header(data);
    return header && header->cookies == insider.session().cookies;
  }
  static bool lan_up(Gateway& gateway) {
    const auto peers = gateway.engine().snapshot({});
    return peers[0].tunnels[0].state == ike::TunnelState::up;
  }

  bool pass(const Endpoint& from, const Endpoint& to, Bytes& data) {
    answers_.push_back(data);
    const auto header = *wire::parse_header(data);
    const bool begins = header.exchange == ExchangeType::quick && !last_block_.contains(header);
    Captured one{data, iv_of(data), to.address == two.a.address, begins};
    const bool passes = open_ || static_cast<int>(passed_.size()) < place_.exchanged;
    if (passes) {
      if (!inner_(from, to, data)) return false;
      last_block_[header] = {data.end() - 16, data.end()};
    }
    (passes ? passed_ : dropped_).push_back(std::move(one));
    return passes;
  }
  [[nodiscard]] Bytes iv_of(const Bytes& data) const {
    const auto header = wire::parse_header(data);
    if (!header->encrypted() || !insider.session().keys) return {};
    if (header->message_id == MessageId{}) return insider.session().block;
    const auto found = last_block_.find(*header);
    return found == last_block_.end() ? insider.first_iv(header->message_id) : found->second;
  }

  // What a gateway says of all that was proved, a line each.
  [[nodiscard]] std::multiset<std::string> authenticated() {
    std::multiset<std::string> lines;
    const auto number = [](const auto& time) {
      return time ? std::to_string(time->time_since_epoch().count()) : std::string("-");
    };
    for (const auto& peer : target().engine().snapshot({})) {
      for (const auto& sa : peer.isakmp_sas) {
        if (!sa.established) continue;
        lines.insert("isakmp " + to_hex(sa.cookies.initiator) + to_hex(sa.cookies.responder) + " " +
                     sa.state + " " + sa.remote.to_string() + " " + sa.remote_identity + " " +
                     number(sa.established_at) + " " + number(sa.rekey_at) + " " + number(sa.expires_at));
      }
      for (const auto& tunnel : peer.tunnels) {
        for (const auto& sa : tunnel.sas)
          lines.insert("ipsec " + std::to_string(sa.in.spi.value) + " " + std::to_string(sa.out.spi.value) +
                       " " + std::to_string(static_cast<int>(sa.role)) + " " + sa.algorithms + " " +
                       number(sa.rekey_at) + " " + std::to_string(sa.expires_at.time_since_epoch().count()));
      }
    }
    return lines;
  }

  [[nodiscard]] GoodMessage established_message() const {
    const MessageId id{0x2222};
    wire::Payload payload = wire::AttributesPayload{1, 5, {wire::Attribute{1, false, {}}}};
    if (*place_.established == ExchangeType::informational)
      payload = wire::NotifyPayload{1, 1, NotifyType::r_u_there, Bytes(16, 1), Bytes(4, 1)};
    if (*place_.established == ExchangeType::new_group) {
      wire::SaPayload group;
      group.proposals = {{1, 1, {}, {{1, 1, {wire::Attribute::short_form(4, 0x8001)}}}}};
      payload = group;
    }
    return {insider.protect(*place_.established, id, {payload}), insider.first_iv(id), true};
  }

  struct ById {
    bool operator()(const wire::Header& a, const wire::Header& b) const {
      return a.message_id < b.message_id;
    }
  };
  std::function<bool(const Endpoint&, const Endpoint&, Bytes&)> inner_;
  Place place_;
  bool open_ = false;
  std::vector<Captured> passed_;
  std::vector<Captured> dropped_;
  std::vector<Bytes> answers_;
  std::map<wire::Header, Bytes, ById> last_block_;
};

std::vector<BadMessage> messages_for(Scene& scene, const Place& place) {
  auto messages = bad_messages(scene.good(), scene.insider);
  if (!place.established) {
    auto strays = stray_messages(scene.insider);
    std::move(strays.begin(), strays.end(), std::back_inserter(messages));
  }
  return messages;
}

// Each on a network of its own, all alike: what was built from one fits the others. Returns how many.
std::size_t try_all(const Place& place) {
  Scene first(place);
  const auto messages = messages_for(first, place);
  // Where only few runs are wanted, as with sanitizers, every fifth.
  std::size_t step = runs(kManyRuns) < kManyRuns ? 5 : 1;
  // The insider has no keys here: it is what is in clear, and garbage.
  if (place.method != AuthMethod::pre_share) step *= 5;
  int failures = 0;
  for (std::size_t i = 0; i < messages.size(); i += step) {
    const BadMessage& message = messages[i];
    Scene scene(place);
    std::string wrong = scene.feed(message.data);
    if (wrong.empty()) wrong = scene.go_on();
    if (wrong.empty()) continue;
    ADD_FAILURE() << name_of(place) << ", " << message.name << ": " << wrong;
    if (++failures == 5) break;
  }
  return messages.size();
}

std::size_t try_places(bool aggressive) {
  const int all = aggressive ? 6 : 9;
  std::size_t count = 0;
  for (int exchanged = 0; exchanged <= all; ++exchanged) {
    for (const bool at_initiator : {true, false}) count += try_all({aggressive, exchanged, at_initiator});
  }
  return count;
}

TEST(BadInput, InMainModeAndQuickMode) {
  const std::size_t count = try_places(false);
  std::printf("%zu messages\n", count);
  EXPECT_GE(count, 4000U);
}

TEST(BadInput, WithTheOtherMethods) {
  std::size_t count = 0;
  for (const AuthMethod method :
       {AuthMethod::rsa_sig, AuthMethod::ecdsa_sig, AuthMethod::rsa_encr, AuthMethod::rsa_encr_rev}) {
    for (int exchanged = 1; exchanged <= 6; ++exchanged) {
      for (const bool at_initiator : {true, false})
        count += try_all({false, exchanged, at_initiator, method}) / 5;
    }
  }
  std::printf("%zu messages\n", count);
  EXPECT_GE(count, 2000U);
}

TEST(BadInput, InAggressiveMode) {
  const std::size_t count = try_places(true);
  std::printf("%zu messages\n", count);
  EXPECT_GE(count, 2000U);
}

TEST(BadInput, UnderAnEstablishedSa) {
  std::size_t count = 0;
  for (const auto type : {ExchangeType::informational, ExchangeType::transaction, ExchangeType::new_group}) {
    for (const bool at_initiator : {true, false})
      count += try_all({false, 9, at_initiator, AuthMethod::pre_share, type});
  }
  std::printf("%zu messages\n", count);
  EXPECT_GE(count, 1000U);
}

}  // namespace
}  // namespace oakgate::sim
