// The kernel plane where the kernel has no memory: requests refused with ENOMEM, answers and events lost with
// ENOBUFS, dumps that end half-way. And SAs that
// move while any one of the requests fails. tests/xfrm/faulty_kernel.h is that kernel.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <linux/xfrm.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/xfrm/faulty_kernel.h"
#include "tests/xfrm/netns.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate {
namespace {

using test::kernel;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
    kernel = test::FaultyKernel{};
    plane_ = ns_.enter([] { return std::move(make_kernel_data_plane({}).value()); });
    dispatch();
  }
  ~KernelPlaneFaults() override {
    plane_.reset();
    kernel = test::FaultyKernel{};
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

// ---- SAs on the move

constexpr std::uint16_t kPort = 20001;

std::vector<SaSpec> natted_pair_of(std::uint32_t number) {
  std::vector<SaSpec> sas = pair_of(number);
  for (SaSpec& sa : sas) sa.encapsulation = UdpEncapsulation{4500, kPort};
  return sas;
}

// Every SPI of one in the kernel; sorted.
std::vector<std::uint32_t> spis() {
  std::vector<std::uint32_t> found;
  for (const auto& [name, body] : kernel.states) {
    xfrm_usersa_info info;
    std::memcpy(&info, body.data(), sizeof(info));
    found.push_back(ntohl(info.id.spi));
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct Move {
  const char* what;
  Endpoint place;
};

class MovingSas : public KernelPlaneFaults, public ::testing::WithParamInterface<Move> {
 protected:
  static std::vector<SaMove> moves() {
    std::vector<SaMove> all;
    for (const SaId& id : ids_of(pair_of(1))) all.push_back({id, GetParam().place});
    return all;
  }
  // The ids before and after, as the protocol removes them when it hears of an error.
  static std::vector<SaId> both_names() {
    std::vector<SaId> ids = ids_of(pair_of(1));
    ids.push_back(ids.back());
    ids.back().destination = GetParam().place.address;
    return ids;
  }
  void move_with(unsigned number, const test::Fault& fault);
};

void MovingSas::move_with(unsigned number, const test::Fault& fault) {
  for (const std::uint32_t tunnel : {1U, 2U}) {
    const auto installed = plane_->install(natted_pair_of(tunnel));
    ASSERT_TRUE(installed) << installed.error().text;
  }
  kernel.fails_at = number;
  kernel.fault = fault;
  kernel.seen = 0;
  kernel.each = [] {
    const auto there = spis();
    EXPECT_EQ(there.end(), std::adjacent_find(there.begin(), there.end()))
        << "the same numbers begin at the new place before they have ended at the old one";
    EXPECT_EQ(2, std::count_if(there.begin(), there.end(), [](auto spi) { return spi % 16 == 2; }));
  };
  kernel.counting = true;
  const auto moved = plane_->move(moves());
  kernel.counting = false;
  if (moved) {
    EXPECT_THAT(spis(), ElementsAre(0x1001, 0x1002, 0x2001, 0x2002));
  } else {
    EXPECT_THAT(moved.error().text, HasSubstr("cannot "));
  }
  // What the protocol does then.
  static_cast<void>(plane_->remove(both_names()));
  dispatch();
  EXPECT_THAT(spis(), ElementsAre(0x1002, 0x2002)) << "nothing is left of it, and the other tunnel is whole";
  EXPECT_THAT(listener_.warnings, IsEmpty());
  kernel.fails_at.reset();
  const auto again = plane_->install(natted_pair_of(1));
  EXPECT_TRUE(again) << again.error().text;
  const auto then = plane_->move(moves());
  EXPECT_TRUE(then) << then.error().text;
  static_cast<void>(plane_->remove(both_names()));
  static_cast<void>(plane_->remove(ids_of(pair_of(2))));
  dispatch();
  EXPECT_THAT(spis(), IsEmpty());
}

TEST_P(MovingSas, WhicheverRequestFailsNothingGoesTwiceAndNothingStays) {
  unsigned requests = 1;
  for (unsigned number = 0; number < requests; ++number) {
    for (const test::Fault& fault : test::every_fault()) {
      kernel.failed.clear();
      SCOPED_TRACE(testing::Message() << "request " << number << " " << fault.name());
      move_with(number, fault);
      if (HasFatalFailure()) return;
      EXPECT_NE("", kernel.failed);
    }
    kernel.each = {};
    // How many there are without a fault.
    if (number == 0) {
      ASSERT_TRUE(plane_->install(natted_pair_of(1)));
      kernel.seen = 0;
      kernel.counting = true;
      ASSERT_TRUE(plane_->move(moves()));
      kernel.counting = false;
      requests = kernel.seen;
      ASSERT_GE(requests, 4U);
      static_cast<void>(plane_->remove(both_names()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, MovingSas,
                         ::testing::Values(Move{"port", {IpAddress::parse("198.51.100.2").value(), 31001}},
                                           Move{"address",
                                                {IpAddress::parse("198.51.100.77").value(), 31001}}),
                         [](const auto& one) { return one.param.what; });

}  // namespace
}  // namespace oakgate
