#include "xfrm/kernel/migration.h"

#include <arpa/inet.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

// What the kernel wants to hear again of a state: without the algorithms and the window it takes an update
// for that of another one, and a new one would have none.
constexpr std::uint16_t kSaidAgain[] = {
    XFRMA_ALG_AEAD, XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_COMP, XFRMA_SA_EXTRA_FLAGS,
    XFRMA_MARK,     XFRMA_SET_MARK,  XFRMA_SET_MARK_MASK,  XFRMA_IF_ID,
};

// Neither an update nor a new state remembers that a soft limit has been told.
void drop_told_limits(xfrm_usersa_info& state) {
  if (state.curlft.bytes >= state.lft.soft_byte_limit) state.lft.soft_byte_limit = XFRM_INF;
  if (state.curlft.packets >= state.lft.soft_packet_limit) state.lft.soft_packet_limit = XFRM_INF;
}

// The attributes but for the window; of the encapsulation one port is the caller's.
void say_again(NetlinkMessage& message, const NetlinkAttributes& said, Direction direction,
               std::uint16_t port) {
  for (const std::uint16_t attribute : kSaidAgain) {
    if (said.has(attribute)) message.put(attribute, said.get(attribute));
  }
  auto encapsulation = said.as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  if (!encapsulation) return;  // IPComp inside ESP
  (direction == Direction::in ? encapsulation->encap_sport : encapsulation->encap_dport) = htons(port);
  message.put_struct(XFRMA_ENCAP, *encapsulation);
}

std::uint64_t skip(std::uint64_t number, std::uint64_t end) {
  if (number == 0) return 0;  // inbound, or never used
  return number > end - kSkippedNumbers ? end : number + kSkippedNumbers;
}

// The bits of the window stand behind the struct.
Bytes with_skipped(ByteView window, bool esn) {
  Bytes value = to_bytes(window);
  xfrm_replay_state_esn head;
  if (value.size() < sizeof(head)) return value;
  std::memcpy(&head, value.data(), sizeof(head));
  const std::uint64_t last =
      skip(std::uint64_t{head.oseq_hi} << 32 | head.oseq, esn ? UINT64_MAX : UINT32_MAX);
  head.oseq = static_cast<std::uint32_t>(last);
  head.oseq_hi = static_cast<std::uint32_t>(last >> 32);
  std::memcpy(value.data(), &head, sizeof(head));
  return value;
}

// Where a new state's numbers, window and counts begin.
void go_on(NetlinkMessage& message, const xfrm_usersa_info& old, const NetlinkAttributes& said) {
  if (said.has(XFRMA_REPLAY_ESN_VAL)) {
    const bool esn = (old.flags & XFRM_STATE_ESN) != 0;
    message.put(XFRMA_REPLAY_ESN_VAL, with_skipped(said.get(XFRMA_REPLAY_ESN_VAL), esn));
  } else if (auto numbers = said.as<xfrm_replay_state>(XFRMA_REPLAY_VAL)) {
    numbers->oseq = static_cast<std::uint32_t>(skip(numbers->oseq, UINT32_MAX));
    message.put_struct(XFRMA_REPLAY_VAL, *numbers);
  }
  message.put_struct(XFRMA_LTIME_VAL, old.curlft);
}

// A kernel in lockdown tells no keys but zeros in their place: a state of those must not be.
template <typename Algorithm>
bool keyless(ByteView value) {
  Algorithm head;
  if (value.size() <= sizeof(head)) return false;  // absent, or null encryption
  const ByteView key = value.subspan(sizeof(head));
  return std::all_of(key.begin(), key.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool keys_withheld(const NetlinkAttributes& said) {
  return keyless<xfrm_algo_aead>(said.get(XFRMA_ALG_AEAD)) || keyless<xfrm_algo>(said.get(XFRMA_ALG_CRYPT)) ||
         keyless<xfrm_algo_auth>(said.get(XFRMA_ALG_AUTH_TRUNC));
}

NetlinkMessage new_state(const xfrm_usersa_info& old, const NetlinkAttributes& said, Direction direction,
                         const Endpoint& remote) {
  NetlinkMessage message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
  auto& info = message.put_header<xfrm_usersa_info>();
  info = old;
  (direction == Direction::in ? info.saddr : info.id.daddr) = to_xfrm(remote.address);
  info.curlft = {};
  info.stats = {};
  info.seq = 0;
  xfrm_usersa_info limits = old;
  drop_told_limits(limits);
  info.lft = limits.lft;
  say_again(message, said, direction, remote.port);
  go_on(message, old, said);
  return message;
}

Error cannot_move(const SaId& id, const Endpoint& remote) {
  return {ErrorCode::unsupported,
          "the SA to " + id.destination.to_string() + " cannot go on at " + remote.to_string() +
              ": a device ciphers it, or the kernel does not tell its keys",
          "a tunnel without `offload`, and a kernel that is not in lockdown",
          "nothing: the tunnel is negotiated anew instead",
          {}};
}

}  // namespace

HeldSa held(const SaSpec& sa) {
  return {sa.reqid, sa.direction == Direction::out ? sa.ties.mark : PacketMark{}, sa.direction};
}

SaId name_at(const SaId& id, Direction direction, const Endpoint& remote) {
  SaId name = id;
  if (direction == Direction::out) name.destination = remote.address;
  return name;
}

std::vector<NetlinkMessage> move_messages(const nlmsghdr& state, Direction direction, const PacketMark& mark,
                                          const Endpoint& remote) {
  std::vector<NetlinkMessage> messages;
  const auto* header = netlink_header<xfrm_usersa_info>(state);
  const auto report = parse_state(state);
  const NetlinkAttributes said(state, sizeof(xfrm_usersa_info));
  if (header == nullptr || !report || report->larval || said.has(XFRMA_OFFLOAD_DEV)) return messages;
  xfrm_usersa_info old;
  std::memcpy(&old, header, sizeof(old));
  const IpAddress peer = from_xfrm(direction == Direction::in ? old.saddr : old.id.daddr, old.family);
  if (peer == remote.address) {
    if (!said.has(XFRMA_ENCAP)) return messages;
    NetlinkMessage& update = messages.emplace_back(XFRM_MSG_UPDSA, NLM_F_REPLACE);
    drop_told_limits(old);
    update.put_header<xfrm_usersa_info>() = old;
    say_again(update, said, direction, remote.port);
    if (said.has(XFRMA_REPLAY_ESN_VAL)) update.put(XFRMA_REPLAY_ESN_VAL, said.get(XFRMA_REPLAY_ESN_VAL));
    return messages;
  }
  if (keys_withheld(said)) return messages;
  // An inbound state's new one has the same name: it must wait for the old one's end.
  messages.push_back(remove_state_message(report->id, mark));
  messages.push_back(new_state(old, said, direction, remote));
  return messages;
}

namespace {

// One SA's way: what the kernel said of it, and what is asked for.
struct Moving {
  SaId id;
  SaId to;
  HeldSa sa;
  Endpoint remote;
  SaCounters counters{};
  std::vector<NetlinkMessage> messages{};
};

Result<void> read(NetlinkSocket& xfrm, std::vector<Moving>& moving) {
  std::vector<NetlinkMessage> queries;
  queries.reserve(moving.size());
  for (const Moving& one : moving) queries.push_back(query_state_message(one.id, one.sa.mark));
  auto answers = xfrm.transact(queries, [&](const nlmsghdr& state) {
    const auto report = parse_state(state);
    const auto one = std::find_if(moving.begin(), moving.end(),
                                  [&](const Moving& it) { return report && it.id == report->id; });
    if (one == moving.end()) return;
    one->counters = report->counters;
    one->messages = move_messages(state, one->sa.direction, one->sa.mark, one->remote);
  });
  if (!answers) return tl::unexpected(answers.error());
  for (std::size_t i = 0; i < moving.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (!answer.ok())
      return fail(netlink_error(answer, "read the SA to " + moving[i].id.destination.to_string()));
    if (moving[i].messages.empty() && moving[i].id.protocol != IpsecProtocol::comp)
      return fail(cannot_move(moving[i].id, moving[i].remote));
  }
  return {};
}

enum class Step : std::size_t { first, second };

// One message of each, where there is one; an answer for each of `moving`.
Result<std::vector<NetlinkAnswer>> carry_out(NetlinkSocket& xfrm, std::vector<Moving>& moving, Step step) {
  const auto at = static_cast<std::size_t>(step);
  std::vector<NetlinkMessage> requests;
  for (Moving& one : moving) {
    if (one.messages.size() > at) requests.push_back(std::move(one.messages[at]));
  }
  auto answers = xfrm.transact(requests);
  if (!answers) return answers;
  std::vector<NetlinkAnswer> each(moving.size());
  auto next = answers->begin();
  for (std::size_t i = 0; i < moving.size(); ++i) {
    if (moving[i].messages.size() > at) each[i] = std::move(*next++);
  }
  return each;
}

}  // namespace

Result<void> move_states(NetlinkSocket& xfrm, HeldSas& sas, std::span<const SaMove> moves) {
  std::vector<Moving> moving;
  for (const SaMove& move : moves) {
    const auto found = sas.find(move.id);
    if (found == sas.end())
      return fail(netlink_error({ESRCH, {}}, "move the SA to " + move.id.destination.to_string()));
    const SaId to = name_at(move.id, found->second.direction, move.remote);
    if (to != move.id && sas.contains(to))
      return fail(netlink_error({EEXIST, {}}, "have an SA go on at " + move.remote.to_string()));
    moving.push_back({move.id, to, found->second, move.remote});
  }
  if (auto told = read(xfrm, moving); !told) return told;
  // Nothing begins at the new place before it has ended at the old one.
  auto ended = carry_out(xfrm, moving, Step::first);
  if (!ended) return tl::unexpected(ended.error());
  Result<void> result;
  for (std::size_t i = 0; i < moving.size(); ++i) {
    Moving& one = moving[i];
    const NetlinkAnswer& answer = (*ended)[i];
    if (!answer.ok() && result)
      result = fail(netlink_error(answer, "have the SA go on at " + one.remote.to_string()));
    if (one.messages.size() == 1 || one.messages.empty()) continue;
    if (answer.ok() || answer.error == ESRCH) sas.erase(one.id);
    if (!answer.ok()) one.messages.clear();  // where it was, or expired this very moment
  }
  auto begun = carry_out(xfrm, moving, Step::second);
  if (!begun) return tl::unexpected(begun.error());
  for (std::size_t i = 0; i < moving.size(); ++i) {
    const Moving& one = moving[i];
    const NetlinkAnswer& answer = (*begun)[i];
    if (!answer.ok() && result)
      result = fail(netlink_error(answer, "have the SA go on at " + one.remote.to_string()));
    if (one.messages.size() < 2 || !answer.ok()) continue;
    HeldSa anew = one.sa;
    anew.replayed += one.counters.replayed;
    anew.not_authentic += one.counters.not_authentic;
    sas[one.to] = anew;
  }
  return result;
}

}  // namespace oakgate
