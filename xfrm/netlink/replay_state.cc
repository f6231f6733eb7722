#include "xfrm/netlink/replay_state.h"

#include <linux/xfrm.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

constexpr std::uint64_t whole(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}
constexpr std::uint32_t low_half(std::uint64_t number) {
  return static_cast<std::uint32_t>(number);
}
constexpr std::uint32_t high_half(std::uint64_t number) {
  return static_cast<std::uint32_t>(number >> 32);
}

NetlinkMessage message_about(std::uint16_t type, std::uint16_t flags, const SaId& id,
                             const PacketMark& mark) {
  NetlinkMessage message(type, flags);
  message.put_header<xfrm_aevent_id>().sa_id = kernel_id(id);
  put_mark(message, mark);
  return message;
}

// Bytes, for the bits stand behind the struct in its flexible array.
Bytes extended_value(const ReplayState& state) {
  const std::size_t words = (std::size_t{state.window} + 31) / 32;
  xfrm_replay_state_esn head{};
  head.bmp_len = static_cast<std::uint32_t>(words);
  head.oseq = low_half(state.sent);
  head.seq = low_half(state.received);
  head.oseq_hi = high_half(state.sent);
  head.seq_hi = high_half(state.received);
  head.replay_window = state.window;
  Bytes value(sizeof(head) + words * sizeof(std::uint32_t));
  std::memcpy(value.data(), &head, sizeof(head));
  const std::size_t given = std::min(words, state.seen.size());
  if (given != 0) std::memcpy(value.data() + sizeof(head), state.seen.data(), given * sizeof(std::uint32_t));
  return value;
}

bool parse_extended(ByteView raw, ReplayState& state) {
  xfrm_replay_state_esn head;
  if (raw.size() < sizeof(head)) return false;
  std::memcpy(&head, raw.data(), sizeof(head));
  if (raw.size() - sizeof(head) < std::size_t{head.bmp_len} * sizeof(std::uint32_t)) return false;
  state.sent = whole(head.oseq_hi, head.oseq);
  state.received = whole(head.seq_hi, head.seq);
  state.window = head.replay_window;
  state.seen.resize(head.bmp_len);
  if (head.bmp_len != 0)
    std::memcpy(state.seen.data(), raw.data() + sizeof(head), head.bmp_len * sizeof(std::uint32_t));
  return true;
}

}  // namespace

NetlinkMessage query_replay_message(const SaId& id, const PacketMark& mark) {
  return message_about(XFRM_MSG_GETAE, 0, id, mark);
}

NetlinkMessage set_replay_message(const SaId& id, const ReplayState& state, const PacketMark& mark) {
  NetlinkMessage message = message_about(XFRM_MSG_NEWAE, NLM_F_REPLACE, id, mark);
  if (state.window != 0) {
    message.put(XFRMA_REPLAY_ESN_VAL, extended_value(state));
  } else {
    const std::uint32_t bits = state.seen.empty() ? 0 : state.seen.front();
    message.put_struct(XFRMA_REPLAY_VAL,
                       xfrm_replay_state{low_half(state.sent), low_half(state.received), bits});
  }
  if (state.used) {
    const ReplayState::Used& used = *state.used;
    message.put_struct(XFRMA_LTIME_VAL, xfrm_lifetime_cur{used.bytes, used.packets, used.added, used.used});
  }
  return message;
}

std::optional<ReplayState> parse_replay_state(const nlmsghdr& message) {
  if (message.nlmsg_type != XFRM_MSG_NEWAE || netlink_header<xfrm_aevent_id>(message) == nullptr)
    return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(xfrm_aevent_id));
  ReplayState state;
  if (attributes.has(XFRMA_REPLAY_ESN_VAL)) {
    if (!parse_extended(attributes.get(XFRMA_REPLAY_ESN_VAL), state)) return std::nullopt;
  } else {
    const auto old = attributes.as<xfrm_replay_state>(XFRMA_REPLAY_VAL);
    if (!old) return std::nullopt;
    state.sent = old->oseq;
    state.received = old->seq;
    state.seen = {old->bitmap};
  }
  if (const auto used = attributes.as<xfrm_lifetime_cur>(XFRMA_LTIME_VAL))
    state.used = ReplayState::Used{used->bytes, used->packets, used->add_time, used->use_time};
  return state;
}

Result<ReplayState> read_replay_state(NetlinkSocket& xfrm, const SaId& id, const PacketMark& mark) {
  NetlinkMessage message = query_replay_message(id, mark);
  const std::string operation = "read the sequence numbers of the SA to " + id.destination.to_string();
  std::optional<ReplayState> state;
  auto answered = xfrm.request(message, operation, [&](const nlmsghdr& part) {
    if (!state) state = parse_replay_state(part);
  });
  if (!answered) return tl::unexpected(answered.error());
  if (!state) return fail(netlink_error({EPROTO, {}}, operation));
  return std::move(*state);
}

Result<void> set_replay_state(NetlinkSocket& xfrm, const SaId& id, const ReplayState& state,
                              const PacketMark& mark) {
  NetlinkMessage message = set_replay_message(id, state, mark);
  return xfrm.request(message, "set the sequence numbers of the SA to " + id.destination.to_string());
}

}  // namespace oakgate
