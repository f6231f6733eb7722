// The kernel plane where the kernel has no memory: requests refused with ENOMEM, answers and events lost with
// ENOBUFS, dumps that end half-way. This program's sendmsg and recvmsg stand before the C library's, and keep
// XFRM states themselves (no ESP is needed); all else goes to a real kernel, in a namespace of its own.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "tests/xfrm/netns.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- A kernel's XFRM states, and what is wrong with it

struct Kernel {
  std::map<Bytes, Bytes> states;  // by what names one; a message's body
  // Errnos for the next requests of a type, in order; 0: done.
  std::map<std::uint16_t, std::deque<int>> refusals;
  // Of the next requests of a type: what is asked is done, but nothing is said: recv fails with ENOBUFS.
  std::map<std::uint16_t, int> unsaid;
  int dump_losses = 0;                       // ENOBUFS before the end of so many dumps
  int dump_end = 0;                          // the errno that a dump ends with
  int event_losses = 0;                      // ENOBUFS from the next reads of an events socket
  std::map<int, std::deque<Bytes>> waiting;  // by socket; an empty one: ENOBUFS

  static Bytes name(const xfrm_address_t& to, std::uint32_t spi, std::uint8_t protocol) {
    Bytes key(sizeof(to) + sizeof(spi) + 1);
    std::memcpy(key.data(), &to, sizeof(to));
    std::memcpy(key.data() + sizeof(to), &spi, sizeof(spi));
    key.back() = protocol;
    return key;
  }
  void say(int fd, std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, ByteView body) {
    Bytes datagram(NLMSG_ALIGN(NLMSG_HDRLEN + body.size()));
    nlmsghdr header{static_cast<std::uint32_t>(NLMSG_HDRLEN + body.size()), type, flags, sequence, 0};
    std::memcpy(datagram.data(), &header, sizeof(header));
    std::copy(body.begin(), body.end(), datagram.begin() + NLMSG_HDRLEN);
    waiting[fd].push_back(std::move(datagram));
  }
  void answer(int fd, const nlmsghdr& request, int error) {
    const nlmsgerr body{-error, request};
    say(fd, NLMSG_ERROR, NLM_F_CAPPED, request.nlmsg_seq,
        {reinterpret_cast<const std::uint8_t*>(&body), sizeof(body)});
  }
  void dump(int fd, const nlmsghdr& request) {
    for (const auto& [key, body] : states) {
      say(fd, XFRM_MSG_NEWSA, NLM_F_MULTI, request.nlmsg_seq, body);
      if (dump_losses == 0) continue;
      --dump_losses;
      waiting[fd].emplace_back();
    }
    const int end = -std::exchange(dump_end, 0);
    say(fd, NLMSG_DONE, NLM_F_MULTI, request.nlmsg_seq,
        {reinterpret_cast<const std::uint8_t*>(&end), sizeof(end)});
  }
  int carry_out(int fd, const nlmsghdr& request, ByteView body) {
    if (request.nlmsg_type == XFRM_MSG_NEWSA) {
      xfrm_usersa_info info;
      std::memcpy(&info, body.data(), sizeof(info));
      const bool fresh =
          states.emplace(name(info.id.daddr, info.id.spi, info.id.proto), to_bytes(body)).second;
      return fresh ? 0 : EEXIST;
    }
    xfrm_usersa_id id;
    std::memcpy(&id, body.data(), sizeof(id));
    const auto found = states.find(name(id.daddr, id.spi, id.proto));
    if (found == states.end()) return ESRCH;
    if (request.nlmsg_type == XFRM_MSG_DELSA) {
      states.erase(found);
    } else {
      say(fd, XFRM_MSG_NEWSA, 0, request.nlmsg_seq, found->second);
    }
    return 0;
  }
  void take(int fd, const nlmsghdr& request, ByteView body) {
    if ((request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) return dump(fd, request);
    auto& refused = refusals[request.nlmsg_type];
    int error = refused.empty() ? 0 : refused.front();
    if (!refused.empty()) refused.pop_front();
    if (error == 0) error = carry_out(fd, request, body);
    if (unsaid[request.nlmsg_type] == 0) return answer(fd, request, error);
    --unsaid[request.nlmsg_type];
    waiting[fd].emplace_back();
  }
};
Kernel kernel;

bool is_xfrm(int fd) {
  int domain = 0;
  int protocol = 0;
  socklen_t size = sizeof(int);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
         getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_XFRM;
}
bool is_of_states(std::uint16_t type) {
  return type == XFRM_MSG_NEWSA || type == XFRM_MSG_DELSA || type == XFRM_MSG_GETSA;
}

}  // namespace
}  // namespace oakgate

extern "C" ssize_t sendmsg(int fd, const msghdr* datagram, int flags) {
  using namespace oakgate;
  Bytes all;
  for (std::size_t i = 0; i < datagram->msg_iovlen; ++i) {
    const auto* part = static_cast<const std::uint8_t*>(datagram->msg_iov[i].iov_base);
    all.insert(all.end(), part, part + datagram->msg_iov[i].iov_len);
  }
  nlmsghdr header{};
  if (all.size() >= sizeof(header)) std::memcpy(&header, all.data(), sizeof(header));
  if (!is_xfrm(fd) || !is_of_states(header.nlmsg_type)) return syscall(SYS_sendmsg, fd, datagram, flags);
  std::size_t at = 0;
  while (at + sizeof(header) <= all.size()) {
    std::memcpy(&header, all.data() + at, sizeof(header));
    kernel.take(fd, header, ByteView(all).subspan(at + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN));
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return static_cast<ssize_t>(all.size());
}

extern "C" ssize_t recvmsg(int fd, msghdr* datagram, int flags) {
  using namespace oakgate;
  auto waiting = kernel.waiting.find(fd);
  if (waiting == kernel.waiting.end() || waiting->second.empty()) {
    const bool events = is_xfrm(fd) && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
    if (!events || kernel.event_losses == 0) return syscall(SYS_recvmsg, fd, datagram, flags);
    --kernel.event_losses;
    errno = ENOBUFS;
    return -1;
  }
  const Bytes next = std::move(waiting->second.front());
  waiting->second.pop_front();
  if (next.empty()) {
    errno = ENOBUFS;
    return -1;
  }
  std::memcpy(datagram->msg_iov[0].iov_base, next.data(), next.size());
  sockaddr_nl from{};
  from.nl_family = AF_NETLINK;
  std::memcpy(datagram->msg_name, &from, sizeof(from));
  datagram->msg_namelen = sizeof(from);
  datagram->msg_flags = 0;
  return static_cast<ssize_t>(next.size());
}

namespace oakgate {
namespace {

// ---- What the plane makes of it

struct Listener : DataPlaneListener {
  std::vector<SaId> expired;
  std::vector<std::string> warnings;
  void on_acquire(Reqid) override {}
  void on_expired(const SaId& id, Reqid) override { expired.push_back(id); }
  void on_soft_limit(const SaId&, Reqid) override {}
  void on_peer_moved(const SaId&, Reqid, const Endpoint&) override {}
  void on_unknown_spi(const SaId&, const IpAddress&) override {}
  void on_ike_datagram(const Endpoint&, const Endpoint&, ByteView) override {}
  void on_warning(const Error& error) override { warnings.push_back(error.text); }
};

SaSpec sa_of(std::uint32_t number, Direction direction) {
  const IpAddress us = IpAddress::parse("192.0.2.1").value();
  const IpAddress peer = IpAddress::parse("198.51.100.2").value();
  const bool in = direction == Direction::in;
  SaSpec sa;
  sa.direction = direction;
  sa.id = {in ? us : peer, IpsecProtocol::esp, Spi{(in ? 0x1000U : 0x2000U) + number}};
  sa.source = in ? peer : us;
  sa.reqid = Reqid{kReqidBase + number};
  sa.selectors = {{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}};
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha;
  sa.encryption_key = SecretBytes(Bytes(16, 0xaa));
  sa.integrity_key = SecretBytes(Bytes(20, 0xbb));
  return sa;
}
std::vector<SaSpec> pair_of(std::uint32_t number) {
  std::vector<SaSpec> sas;
  sas.push_back(sa_of(number, Direction::in));
  sas.push_back(sa_of(number, Direction::out));
  return sas;
}
std::vector<SaId> ids_of(const std::vector<SaSpec>& sas) {
  std::vector<SaId> ids;
  for (const SaSpec& sa : sas) ids.push_back(sa.id);
  return ids;
}

class KernelPlaneFaults : public ::testing::Test {
 protected:
  KernelPlaneFaults() {
    kernel = {};
    plane_ = ns_.enter([] { return std::move(make_kernel_data_plane({}).value()); });
    dispatch();
  }
  ~KernelPlaneFaults() override {
    plane_.reset();
    kernel = {};
  }
  void dispatch() {
    ns_.enter([&] {
      plane_->dispatch(listener_);
      return 0;
    });
  }
  // As the daemon does: when the plane says that there is something to do.
  void dispatch_when_due() {
    pollfd waits{plane_->fd(), POLLIN, 0};
    ASSERT_EQ(1, poll(&waits, 1, 30'000)) << "the plane asks for no second look";
    dispatch();
  }
  void up(std::uint32_t number) {
    const auto sas = pair_of(number);
    const auto done = plane_->install(sas);
    ASSERT_TRUE(done) << done.error().text;
  }
  test::Namespace ns_;
  std::unique_ptr<DataPlane> plane_;
  Listener listener_;
};

TEST_F(KernelPlaneFaults, WithoutMemoryForOneStateNoneOfTheBatchStays) {
  up(1);
  kernel.refusals[XFRM_MSG_NEWSA] = {0, ENOMEM};
  const auto sas = pair_of(2);
  const auto done = plane_->install(sas);
  ASSERT_FALSE(done);
  EXPECT_EQ(ErrorCode::data_plane, done.error().code);
  EXPECT_THAT(done.error().text,
              HasSubstr("install the ESP SA 0x00002002 to 198.51.100.2: Cannot allocate memory"));
  EXPECT_EQ(2U, kernel.states.size()) << "the other tunnel's";
  up(2);
  EXPECT_EQ(4U, kernel.states.size());
}

TEST_F(KernelPlaneFaults, AStateWhoseAnswerIsLostGoesAgain) {
  up(1);
  kernel.unsaid[XFRM_MSG_NEWSA] = 1;
  const auto sas = pair_of(2);
  const auto done = plane_->install(sas);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("No buffer space available"));
  EXPECT_EQ(2U, kernel.states.size());
  up(2);
}

TEST_F(KernelPlaneFaults, AStateWhoseAnswerIsLostGoesOnceTheKernelTellsOfIt) {
  kernel.unsaid[XFRM_MSG_NEWSA] = 1;
  kernel.dump_end = ENOMEM;
  const auto sas = pair_of(1);
  ASSERT_FALSE(plane_->install(sas));
  EXPECT_EQ(2U, kernel.states.size()) << "it could not be looked for";
  dispatch_when_due();
  EXPECT_THAT(kernel.states, IsEmpty());
  EXPECT_THAT(listener_.warnings, IsEmpty());
  EXPECT_THAT(listener_.expired, IsEmpty()) << "nobody knows of them";
}

TEST_F(KernelPlaneFaults, AStateThatCannotBeTakenBackGoesLater) {
  kernel.refusals[XFRM_MSG_NEWSA] = {0, ENOMEM};
  kernel.refusals[XFRM_MSG_DELSA] = {ENOMEM, ENOMEM};
  const auto sas = pair_of(1);
  ASSERT_FALSE(plane_->install(sas));
  EXPECT_EQ(1U, kernel.states.size());
  dispatch_when_due();
  EXPECT_EQ(1U, kernel.states.size());
  EXPECT_THAT(listener_.warnings, ElementsAre(HasSubstr("remove the ESP SA 0x00001001")));
  dispatch_when_due();  // a second later
  EXPECT_THAT(kernel.states, IsEmpty());
  EXPECT_EQ(1U, listener_.warnings.size());
}

TEST_F(KernelPlaneFaults, WhatCouldNotBeRemovedGoesLater) {
  up(1);
  up(2);
  kernel.refusals[XFRM_MSG_DELSA] = {ENOMEM, 0};
  const auto removed = plane_->remove(ids_of(pair_of(1)));
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().text,
              HasSubstr("remove the ESP SA 0x00001001 to 192.0.2.1: Cannot allocate memory"));
  EXPECT_EQ(3U, kernel.states.size()) << "one refusal does not stop the others";
  dispatch_when_due();
  EXPECT_EQ(2U, kernel.states.size());
  EXPECT_THAT(listener_.expired, IsEmpty());
}

TEST_F(KernelPlaneFaults, ALostAnswerToARemovalLeavesNothing) {
  up(1);
  kernel.unsaid[XFRM_MSG_DELSA] = 1;
  const auto removed = plane_->remove(ids_of(pair_of(1)));
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().text, HasSubstr("No buffer space available"));
  dispatch_when_due();
  EXPECT_THAT(kernel.states, IsEmpty());
}

TEST_F(KernelPlaneFaults, AnOverrunIsMadeUpForByADump) {
  up(1);
  up(2);
  kernel.states.erase(kernel.states.begin());  // expired, and the event is lost
  kernel.event_losses = 1;
  dispatch();
  EXPECT_EQ(1U, listener_.expired.size());
  EXPECT_THAT(listener_.warnings, IsEmpty());
}

// A dump that did not come to its end tells nothing of what it has not named.
TEST_F(KernelPlaneFaults, ADumpThatFailsTakesNoTunnelDownAndIsRepeated) {
  up(1);
  up(2);
  kernel.states.erase(kernel.states.begin());
  kernel.event_losses = 1;
  kernel.dump_end = ENOMEM;
  dispatch();
  EXPECT_THAT(listener_.expired, IsEmpty());
  EXPECT_THAT(listener_.warnings, ElementsAre(HasSubstr("list the XFRM states: Cannot allocate memory")));
  dispatch_when_due();
  EXPECT_EQ(1U, listener_.expired.size());
  EXPECT_EQ(1U, listener_.warnings.size());
}

TEST_F(KernelPlaneFaults, APartOfADumpThatIsLostIsAskedForAgain) {
  up(1);
  kernel.event_losses = 1;
  kernel.dump_losses = 1;
  dispatch();
  EXPECT_THAT(listener_.expired, IsEmpty());
  EXPECT_THAT(listener_.warnings, IsEmpty());
}

TEST_F(KernelPlaneFaults, ADumpThatLosesPartsEachTimeIsAnError) {
  up(1);
  kernel.event_losses = 1;
  kernel.dump_losses = 6;  // two states, three times
  dispatch();
  EXPECT_THAT(listener_.expired, IsEmpty());
  EXPECT_THAT(listener_.warnings, ElementsAre(HasSubstr("No buffer space available")));
}

TEST_F(KernelPlaneFaults, CountersThatCannotBeReadAreAnErrorInWords) {
  up(1);
  kernel.refusals[XFRM_MSG_GETSA] = {ENOMEM};
  const auto counted = plane_->counters(ids_of(pair_of(1)));
  ASSERT_FALSE(counted);
  EXPECT_THAT(counted.error().text,
              HasSubstr("read the ESP SA 0x00001001 to 192.0.2.1: Cannot allocate memory"));
  EXPECT_TRUE(plane_->counters(ids_of(pair_of(1))));
}

}  // namespace
}  // namespace oakgate
