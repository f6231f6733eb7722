#include "daemon/decode/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace oakgate::decode {

namespace {

using Facts = Negotiation::Facts;
using Words = std::vector<std::string>;
using wire::ExchangeType;

constexpr std::size_t kListed = 8;  // of things that are alike

std::string times(int count) {
  return count == 1 ? "once" : fmt::format("{} times", count);
}

std::string joined(const Words& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < kListed; ++i) text += (i == 0 ? "" : "; ") + items[i];
  return items.size() > kListed ? fmt::format("{}; and {} more", text, items.size() - kListed) : text;
}

// How many messages phase 1 has from each side: Main Mode 3 and 3, Aggressive Mode 2 and 1.
struct Whole {
  int initiator = 3;
  int responder = 3;
};
Whole whole_of(const Facts& facts) {
  return facts.exchange == ExchangeType::aggressive ? Whole{2, 1} : Whole{3, 3};
}

bool refused(const Facts& facts, std::string_view notify) {
  return std::any_of(facts.clear_errors.begin(), facts.clear_errors.end(),
                     [&](const auto& one) { return one.second == notify; });
}

void tell_silence(const Facts& facts, const std::string& from, const std::string& to, Words& words) {
  const Whole whole = whole_of(facts);
  if (facts.initiator_messages >= whole.initiator && facts.responder_messages >= whole.responder) {
    words.push_back("Phase 1 is complete, as far as can be seen: every message of it was sent and answered.");
    return;
  }
  const bool initiator_waits = facts.initiator_messages > facts.responder_messages;
  const int number = facts.initiator_messages + facts.responder_messages;
  const int repeated = initiator_waits ? facts.initiator_repeated : facts.responder_repeated;
  const std::string& sender = initiator_waits ? from : to;
  const std::string& silent = initiator_waits ? to : from;
  std::string text = fmt::format("Message {} of {}, from {}, was sent {} and got no answer", number,
                                 wire::exchange_name(facts.exchange), sender, times(repeated + 1));
  if (number == 1) {
    text += fmt::format(
        ": {} is down, does not know the caller, or a firewall drops UDP 500 on one of the ways (IOS: "
        "MM_NO_STATE).",
        silent);
  } else if (number >= 5) {
    text += facts.floated_at
                ? fmt::format(
                      ": {} could not read it (another pre-shared key or identity), or UDP 4500, to "
                      "which it went, is dropped.",
                      silent)
                : fmt::format(
                      ": {} could not read it: most often another pre-shared key, or no key for "
                      "this address (IOS: MM_KEY_EXCH).",
                      silent);
  } else {
    text += fmt::format(": {} stopped answering, or a larger message is lost on the way.", silent);
  }
  words.push_back(text);
}

void tell_refusals(const Facts& facts, const std::string& from, const std::string& to, Words& words) {
  std::set<std::pair<bool, std::string>> told;
  for (const auto& [initiator, notify] : facts.clear_errors) {
    if (!told.emplace(initiator, notify).second || told.size() > kListed) continue;
    words.push_back(
        fmt::format("{} said {} in clear (anybody could have sent that).", initiator ? from : to, notify));
  }
  if (refused(facts, "NO-PROPOSAL-CHOSEN") && !facts.chosen) {
    words.push_back(fmt::format("None of the ISAKMP policies that {} offered is one of {}'s: {}.", from, to,
                                joined(facts.offered)));
  }
}

void tell_nat(const Facts& facts, Words& words) {
  if (facts.nat && *facts.nat)
    words.push_back("The NAT-D payloads do not fit the addresses: there is a NAT between.");
  if (facts.floated_at) {
    words.push_back(fmt::format("From packet {} on it goes by UDP 4500: both sides agreed on NAT traversal.",
                                *facts.floated_at));
  } else if (facts.nat && *facts.nat) {
    words.push_back("It did not go on by UDP 4500.");
  }
}

void tell_quick_mode(const Facts& facts, const Phase2& exchange, const std::string& from,
                     const std::string& to, Words& words) {
  const std::string& sender = exchange.from_initiator ? from : to;
  const std::string& other = exchange.from_initiator ? to : from;
  const std::string name =
      fmt::format("Quick Mode that {} began in packet {}", sender, exchange.first_packet);
  if (exchange.from_other == 0) {
    words.push_back(
        fmt::format("{}: sent {}, no answer: proxy identities, transform set or PFS do not fit, or the "
                    "answer was lost.",
                    name, times(exchange.repeated + 1)));
  } else if (exchange.messages >= 3) {
    words.push_back(exchange.chosen.empty()
                        ? fmt::format("{}: complete.", name)
                        : fmt::format("{}: complete, {} chose {}.", name, other, joined(exchange.chosen)));
  } else {
    words.push_back(fmt::format("{}: answered, but message 3 is not in the capture.", name));
  }
  if (!exchange.ids.empty()) words.back() += " For " + joined(exchange.ids) + ".";
  if (exchange.repeated > 0 && exchange.from_other > 0)
    words.back() += fmt::format(" {} messages of it were sent again.", exchange.repeated);
  (void)facts;
}

void tell_phase2(const Facts& facts, const std::string& from, const std::string& to, Words& words) {
  std::vector<const Phase2*> exchanges;
  for (const auto& [id, exchange] : facts.phase2) exchanges.push_back(&exchange);
  std::sort(exchanges.begin(), exchanges.end(),
            [](const Phase2* a, const Phase2* b) { return a->first_packet < b->first_packet; });
  std::size_t quick = 0;
  for (const Phase2* exchange : exchanges) {
    if (exchange->exchange == ExchangeType::quick) {
      if (++quick <= kListed) tell_quick_mode(facts, *exchange, from, to, words);
    } else if (!exchange->notifies.empty()) {
      const std::string& sender = exchange->from_initiator ? from : to;
      words.push_back(fmt::format("{} said {}, authenticated, in packet {}.", sender,
                                  joined(exchange->notifies), exchange->first_packet));
    }
    if (words.size() > 64) {
      words.emplace_back("And so on.");
      break;
    }
  }
  if (quick > kListed) words.push_back(fmt::format("{} Quick Modes in all.", quick));
}

}  // namespace

Words story_of(const Facts& facts) {
  const std::string from = facts.initiator.address.to_string(), to = facts.responder.address.to_string();
  Words words;
  if (facts.begun_here) {
    words.push_back(fmt::format("{} began {} with {} in packet {}.", from,
                                wire::exchange_name(facts.exchange), to, facts.first_packet));
  } else {
    words.push_back(
        fmt::format("{} and {} have an ISAKMP SA whose beginning is not in the capture.", from, to));
  }
  if (facts.chosen) words.push_back(fmt::format("{} chose {}.", to, *facts.chosen));
  if (facts.begun_here) tell_silence(facts, from, to, words);
  tell_refusals(facts, from, to, words);
  tell_nat(facts, words);
  if (facts.fragments) words.emplace_back("Messages came in fragments of IKE (Cisco's payload 132).");
  const int repeated = facts.initiator_repeated + facts.responder_repeated;
  if (repeated > 0) {
    words.push_back(fmt::format("Phase 1 had {} retransmission{} ({} from {}, {} from {}).", repeated,
                                repeated == 1 ? "" : "s", facts.initiator_repeated, from,
                                facts.responder_repeated, to));
  }
  if (!facts.notifies.empty())
    words.push_back(fmt::format("In phase 1 was said: {}.", joined(facts.notifies)));
  if (facts.key_wrong) words.emplace_back("The key given for it does not decrypt its messages.");
  tell_phase2(facts, from, to, words);
  return words;
}

Words story_of(const std::map<EspFlows::Name, EspFlows::Flow>& flows) {
  Words words;
  std::set<std::pair<IpAddress, IpAddress>> ways;
  for (const auto& [name, flow] : flows) ways.emplace(name.from, name.to);
  for (const auto& [name, flow] : flows) {
    if (words.size() > 64) {
      words.push_back(fmt::format("{} SAs in all.", flows.size()));
      break;
    }
    std::string text =
        fmt::format("{} SA {:#010x} from {} to {}: {} packet{}", name.ah ? "AH" : "ESP", name.spi,
                    name.from.to_string(), name.to.to_string(), flow.packets, flow.packets == 1 ? "" : "s");
    const std::uint64_t span = std::uint64_t{flow.highest} - flow.first + 1;
    const std::uint64_t came = flow.packets - std::min(flow.packets, flow.repeated_or_late);
    if (span > came) text += fmt::format(", {} sequence numbers between are missing", span - came);
    if (flow.repeated_or_late > 0)
      text += fmt::format(", {} repeated or out of order", flow.repeated_or_late);
    if (flow.key_known) text += fmt::format(", {} decrypted", flow.opened);
    if (flow.refused > 0) text += fmt::format(", {} not by the key given", flow.refused);
    words.push_back(text + ".");
  }
  for (const auto& [from, to] : ways) {
    if (ways.contains({to, from})) continue;
    words.push_back(
        fmt::format("ESP or AH goes from {} to {} only, nothing comes back: the SA, routing or an access "
                    "list behind {}, or a firewall that drops protocols 50 and 51 or UDP 4500.",
                    from.to_string(), to.to_string(), to.to_string()));
  }
  return words;
}

}  // namespace oakgate::decode
