#include "tests/xfrm/faulty_kernel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace oakgate::test {

FaultyKernel kernel;

namespace {

int protocol_of(int fd) {
  int domain = 0;
  int protocol = 0;
  socklen_t size = sizeof(int);
  const bool netlink = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
                       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0;
  return netlink ? protocol : -1;
}
bool is_of_states(std::uint16_t type) {
  return type == XFRM_MSG_NEWSA || type == XFRM_MSG_DELSA || type == XFRM_MSG_GETSA || type == XFRM_MSG_UPDSA;
}

nlmsghdr header_of(ByteView message) {
  nlmsghdr header{};
  if (message.size() >= sizeof(header)) std::memcpy(&header, message.data(), sizeof(header));
  return header;
}

template <typename Value>
ByteView raw(const Value& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}

Bytes state_name(const xfrm_address_t& to, std::uint32_t spi, std::uint8_t protocol) {
  Bytes key(sizeof(to) + sizeof(spi) + 1);
  std::memcpy(key.data(), &to, sizeof(to));
  std::memcpy(key.data() + sizeof(to), &spi, sizeof(spi));
  key.back() = protocol;
  return key;
}

std::string kind_of(int fd, const nlmsghdr& request) {
  static const std::map<std::pair<int, std::uint16_t>, std::string> kNames = {
      {{NETLINK_XFRM, XFRM_MSG_NEWSA}, "NEWSA"},         {{NETLINK_XFRM, XFRM_MSG_DELSA}, "DELSA"},
      {{NETLINK_XFRM, XFRM_MSG_GETSA}, "GETSA"},         {{NETLINK_XFRM, XFRM_MSG_UPDSA}, "UPDSA"},
      {{NETLINK_XFRM, XFRM_MSG_NEWPOLICY}, "NEWPOLICY"}, {{NETLINK_XFRM, XFRM_MSG_DELPOLICY}, "DELPOLICY"},
      {{NETLINK_XFRM, XFRM_MSG_GETPOLICY}, "GETPOLICY"}, {{NETLINK_XFRM, XFRM_MSG_UPDPOLICY}, "UPDPOLICY"},
      {{NETLINK_ROUTE, RTM_NEWROUTE}, "NEWROUTE"},       {{NETLINK_ROUTE, RTM_DELROUTE}, "DELROUTE"},
      {{NETLINK_ROUTE, RTM_GETROUTE}, "GETROUTE"},       {{NETLINK_ROUTE, RTM_NEWRULE}, "NEWRULE"},
      {{NETLINK_ROUTE, RTM_DELRULE}, "DELRULE"},         {{NETLINK_ROUTE, RTM_GETRULE}, "GETRULE"},
      {{NETLINK_ROUTE, RTM_NEWLINK}, "NEWLINK"},         {{NETLINK_ROUTE, RTM_DELLINK}, "DELLINK"},
      {{NETLINK_ROUTE, RTM_GETLINK}, "GETLINK"},         {{NETLINK_ROUTE, RTM_NEWADDR}, "NEWADDR"},
      {{NETLINK_ROUTE, RTM_GETADDR}, "GETADDR"},
  };
  const auto found = kNames.find({protocol_of(fd), request.nlmsg_type});
  return found == kNames.end() ? fmt::format("type {}", request.nlmsg_type) : found->second;
}

ssize_t real_send(int fd, ByteView data) {
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  return syscall(SYS_sendto, fd, data.data(), data.size(), 0, &to, sizeof(to));
}

}  // namespace

std::string Fault::name() const {
  switch (kind) {
    case Kind::refused:
      return fmt::format("refused: {}", strerror(error));
    case Kind::rest:
      return fmt::format("the rest of the batch refused: {}", strerror(error));
    case Kind::lost:
      return "done, answer lost";
    case Kind::unheard:
      return "not done, no answer";
    case Kind::late:
      return "done, no answer";
  }
  return {};
}

const std::vector<Fault>& every_fault() {
  using Kind = Fault::Kind;
  static const std::vector<Fault> all = {
      {Kind::refused, EPERM}, {Kind::refused, ENOMEM}, {Kind::refused, EEXIST},  {Kind::refused, ENOENT},
      {Kind::refused, ESRCH}, {Kind::refused, EINVAL}, {Kind::refused, ENOBUFS}, {Kind::rest, ENOMEM},
      {Kind::lost, ENOBUFS},  {Kind::unheard, EAGAIN}, {Kind::late, EAGAIN},
  };
  return all;
}

void FaultyKernel::count() {
  if (!counting) return;
  ++seen;
  if (!each) return;
  counting = false;
  each();
  counting = true;
}

void FaultyKernel::say(int fd, std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                       ByteView body) {
  Bytes datagram(NLMSG_ALIGN(NLMSG_HDRLEN + body.size()));
  const nlmsghdr header{static_cast<std::uint32_t>(NLMSG_HDRLEN + body.size()), type, flags, sequence, 0};
  std::memcpy(datagram.data(), &header, sizeof(header));
  std::copy(body.begin(), body.end(), datagram.begin() + NLMSG_HDRLEN);
  waiting[fd].push_back({std::move(datagram), 0});
}

void FaultyKernel::answer(int fd, const nlmsghdr& request, int error) {
  const nlmsgerr body{-error, request};
  say(fd, NLMSG_ERROR, NLM_F_CAPPED, request.nlmsg_seq, raw(body));
}

void FaultyKernel::dump_states(int fd, const nlmsghdr& request) {
  for (const auto& [key, body] : states) {
    say(fd, XFRM_MSG_NEWSA, NLM_F_MULTI, request.nlmsg_seq, body);
    if (dump_losses == 0) continue;
    --dump_losses;
    waiting[fd].push_back({{}, ENOBUFS});
  }
  const int end = -std::exchange(dump_end, 0);
  say(fd, NLMSG_DONE, NLM_F_MULTI, request.nlmsg_seq, raw(end));
}

int FaultyKernel::change_states(int fd, const nlmsghdr& request, ByteView body) {
  if (request.nlmsg_type == XFRM_MSG_NEWSA || request.nlmsg_type == XFRM_MSG_UPDSA) {
    xfrm_usersa_info info;
    std::memcpy(&info, body.data(), sizeof(info));
    const Bytes name = state_name(info.id.daddr, info.id.spi, info.id.proto);
    const bool there = states.contains(name);
    if (there != (request.nlmsg_type == XFRM_MSG_UPDSA)) return there ? EEXIST : ESRCH;
    states[name] = to_bytes(body);
    return 0;
  }
  xfrm_usersa_id id;
  std::memcpy(&id, body.data(), sizeof(id));
  const auto found = states.find(state_name(id.daddr, id.spi, id.proto));
  if (found == states.end()) return ESRCH;
  if (request.nlmsg_type == XFRM_MSG_DELSA) {
    states.erase(found);
  } else {
    say(fd, XFRM_MSG_NEWSA, 0, request.nlmsg_seq, found->second);
  }
  return 0;
}

void FaultyKernel::state_request(int fd, const nlmsghdr& request, ByteView body) {
  if ((request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) return dump_states(fd, request);
  auto& refused = refusals[request.nlmsg_type];
  int error = refused.empty() ? 0 : refused.front();
  if (!refused.empty()) refused.pop_front();
  if (error == 0) error = change_states(fd, request, body);
  if (unsaid[request.nlmsg_type] == 0) return answer(fd, request, error);
  --unsaid[request.nlmsg_type];
  waiting[fd].push_back({{}, ENOBUFS});
}

// Sends it and gathers what the kernel says to it.
void FaultyKernel::forward(int fd, ByteView message, std::uint32_t awaited, bool dump) {
  if (real_send(fd, message) < 0) {
    const nlmsghdr request = header_of(message);
    return answer(fd, request, errno);
  }
  for (bool done = false; !done;) {
    Bytes data(65536);
    const long got = syscall(SYS_recvfrom, fd, data.data(), data.size(), 0, nullptr, nullptr);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      waiting[fd].push_back({{}, errno});
      return;
    }
    data.resize(static_cast<std::size_t>(got));
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= data.size();) {
      const nlmsghdr part = header_of(ByteView(data).subspan(at));
      const bool refused = part.nlmsg_type == NLMSG_ERROR;
      done = done || (part.nlmsg_seq == awaited && (refused || (dump && part.nlmsg_type == NLMSG_DONE)));
      // A transaction that fails says so once for each message, and not for the awaited one.
      if (refused && part.nlmsg_seq != awaited) {
        nlmsgerr reply;
        std::memcpy(&reply, data.data() + at + NLMSG_HDRLEN, sizeof(reply));
        done = done || reply.error != 0;
      }
      at += NLMSG_ALIGN(std::max<std::uint32_t>(part.nlmsg_len, sizeof(nlmsghdr)));
    }
    waiting[fd].push_back({std::move(data), 0});
  }
}

void FaultyKernel::carry_out(int fd, const nlmsghdr& request, ByteView message) {
  if (protocol_of(fd) == NETLINK_XFRM && is_of_states(request.nlmsg_type))
    return state_request(fd, request, message.subspan(NLMSG_HDRLEN));
  forward(fd, message, request.nlmsg_seq, (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP);
}

void FaultyKernel::take(int fd, const nlmsghdr& request, ByteView message, bool last_failed) {
  const bool fails = fails_now();
  if (fails) failed = kind_of(fd, request);
  if (counting) names.push_back(kind_of(fd, request));
  if (!fails && !last_failed) {
    carry_out(fd, request, message);
    return count();
  }
  switch (fault.kind) {
    case Fault::Kind::refused:
    case Fault::Kind::rest:
      answer(fd, request, fault.error);
      break;
    case Fault::Kind::lost:
    case Fault::Kind::late:
      carry_out(fd, request, message);
      waiting[fd].pop_back();  // the answer, or a dump's end
      waiting[fd].push_back({{}, fault.error});
      break;
    case Fault::Kind::unheard:
      waiting[fd].push_back({{}, fault.error});
      break;
  }
  count();
}

void FaultyKernel::take_datagram(int fd, ByteView all) {
  bool rest = false;
  for (std::size_t at = 0; at + sizeof(nlmsghdr) <= all.size();) {
    const nlmsghdr header = header_of(all.subspan(at));
    if (header.nlmsg_seq == 1) waiting.erase(fd);  // a new socket under the number of one that was closed
    rest = rest || (fails_now() && fault.kind == Fault::Kind::rest);
    take(fd, header, all.subspan(at, header.nlmsg_len), rest);
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
}

void FaultyKernel::take_transaction(int fd, ByteView all) {
  waiting.erase(fd);
  // The awaited one asks for its acknowledgement.
  nlmsghdr awaited = header_of(all);
  for (std::size_t at = 0; at + sizeof(nlmsghdr) <= all.size();) {
    const nlmsghdr header = header_of(all.subspan(at));
    if ((header.nlmsg_flags & NLM_F_ACK) != 0) awaited = header;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  const bool fails = fails_now();
  if (fails) failed = "nftables";
  if (counting) names.emplace_back("nftables");
  const bool done = !fails || fault.kind == Fault::Kind::lost || fault.kind == Fault::Kind::late;
  if (done) forward(fd, all, awaited.nlmsg_seq, false);
  if (fails && done) waiting[fd].clear();
  const bool refused = fault.kind == Fault::Kind::refused || fault.kind == Fault::Kind::rest;
  if (fails && refused) {
    answer(fd, awaited, fault.error);
  } else if (fails) {
    waiting[fd].push_back({{}, fault.error});
  }
  count();
}

}  // namespace oakgate::test

extern "C" ssize_t sendmsg(int fd, const msghdr* datagram, int flags) {
  using namespace oakgate;
  const int protocol = test::protocol_of(fd);
  if (protocol != NETLINK_ROUTE && protocol != NETLINK_XFRM) return syscall(SYS_sendmsg, fd, datagram, flags);
  Bytes all;
  for (std::size_t i = 0; i < datagram->msg_iovlen; ++i) {
    const auto* part = static_cast<const std::uint8_t*>(datagram->msg_iov[i].iov_base);
    all.insert(all.end(), part, part + datagram->msg_iov[i].iov_len);
  }
  test::kernel.take_datagram(fd, all);
  return static_cast<ssize_t>(all.size());
}

extern "C" ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* to,
                          socklen_t length) {
  using namespace oakgate;
  if (test::protocol_of(fd) != NETLINK_NETFILTER)
    return syscall(SYS_sendto, fd, data, size, flags, to, length);
  test::kernel.take_transaction(fd, {static_cast<const std::uint8_t*>(data), size});
  return static_cast<ssize_t>(size);
}

extern "C" int timerfd_settime(int fd, int flags, const itimerspec* when, itimerspec* before) {
  itimerspec soon = *when;
  if (oakgate::test::kernel.hurries) soon.it_value = {0, 1};
  return static_cast<int>(syscall(SYS_timerfd_settime, fd, flags, &soon, before));
}

extern "C" ssize_t recvmsg(int fd, msghdr* datagram, int flags) {
  using namespace oakgate;
  auto waiting = test::kernel.waiting.find(fd);
  if (waiting == test::kernel.waiting.end() || waiting->second.empty()) {
    const bool events = test::protocol_of(fd) == NETLINK_XFRM && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
    if (!events || test::kernel.event_losses == 0) return syscall(SYS_recvmsg, fd, datagram, flags);
    --test::kernel.event_losses;
    errno = ENOBUFS;
    return -1;
  }
  const test::FaultyKernel::Datagram next = std::move(waiting->second.front());
  waiting->second.pop_front();
  if (next.error != 0) {
    errno = next.error;
    return -1;
  }
  std::memcpy(datagram->msg_iov[0].iov_base, next.data.data(), next.data.size());
  sockaddr_nl from{};
  from.nl_family = AF_NETLINK;
  std::memcpy(datagram->msg_name, &from, sizeof(from));
  datagram->msg_namelen = sizeof(from);
  datagram->msg_flags = 0;
  return static_cast<ssize_t>(next.data.size());
}
