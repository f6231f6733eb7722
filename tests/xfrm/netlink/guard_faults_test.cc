// The guard while any one of its requests fails, in each way the kernel has: refused, half of a batch
// refused, done or not without an answer. The requests of a run without a fault are counted; then one run for
// each of them and each fault. In none of them, after whichever request, may a packet of a guarded pair find
// a way without protection; what is not ours stays; and when the guard has looked again, the kernel holds
// what it would hold without the fault. The kernel's tables are real (faulty_kernel.h).

#include <gmock/gmock.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tests/xfrm/faulty_kernel.h"
#include "tests/xfrm/netlink/guarded_pair.h"
#include "tests/xfrm/netns.h"
#include "xfrm/netlink/guard.h"

namespace oakgate {
namespace {

using test::Fault;
using test::guarded_pair;
using test::kernel;

struct Plane {
  const char* name;
  bool software;
  InboundDrop drop;
};

// All that the kernel holds of routes, rules and policies.
struct Tables {
  std::vector<std::string> routes;
  std::vector<Bytes> rules;
  std::vector<XfrmPolicy> ours;
  std::vector<XfrmPolicy> others;
  friend bool operator==(const Tables&, const Tables&) = default;
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const std::string& route : routes) all += route + "\n";
    for (const XfrmPolicy& policy : ours) all += policy.to_string() + "\n";
    return all + testing::PrintToString(rules.size()) + " rules\n";
  }
};

struct Flow {
  const char* from;
  const char* to;
};

bool judges(const XfrmPolicy& policy, const IpAddress& from, const IpAddress& to) {
  return policy.source.subnet.contains(from) && policy.destination.subnet.contains(to) &&
         policy.source.protocol == 0;
}

ProtectPolicy web(std::uint32_t number) {
  ProtectPolicy policy = guarded_pair(number, "10.1.0.0/24", "10.3.0.0/24");
  policy.selectors.local.protocol = policy.selectors.remote.protocol = IPPROTO_TCP;
  policy.selectors.remote.port = 80;
  return policy;
}

// Of every case: it stays guarded throughout.
const ProtectPolicy kFirst = guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24");

struct Step {
  const char* name;
  std::function<void(Guard&, test::Namespace&)> before;
  std::function<Result<void>(Guard&)> run;
};

void must(const Result<void>& done) {
  ASSERT_TRUE(done) << done.error().text;
}

const Step kSteps[] = {
    {"another_pair_is_protected",
     {},
     [](Guard& guard) { return guard.protect(guarded_pair(2, "10.1.0.0/24", "10.3.0.0/24")); }},
    // Exemptions, fragments, Neighbor Discovery.
    {"a_wide_pair_is_protected",
     {},
     [](Guard& guard) { return guard.protect(guarded_pair(2, "10.1.0.0/24", "10.0.0.0/8")); }},
    {"a_pair_with_ports_is_protected", {}, [](Guard& guard) { return guard.protect(web(2)); }},
    {"an_ipv6_pair_is_protected",
     {},
     [](Guard& guard) {
       return guard.protect(guarded_pair(2, "2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:9::2"));
     }},
    {"the_peer_moves",
     {},
     [](Guard& guard) {
       return guard.protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24", "203.0.113.9"));
     }},
    {"selectors_change",
     [](Guard& guard, test::Namespace&) {
       must(guard.protect(guarded_pair(2, "10.1.0.0/24", "10.3.0.0/24")));
     },
     [](Guard& guard) { return guard.protect(guarded_pair(2, "10.7.0.0/24", "10.4.0.0/24")); }},
    {"a_pair_goes",
     [](Guard& guard, test::Namespace&) {
       must(guard.protect(guarded_pair(2, "10.7.0.0/24", "10.0.0.0/8")));
     },
     [](Guard& guard) { return guard.unprotect(Reqid{kReqidBase + 2}); }},
    {"an_heir_takes_over",
     [](Guard& guard, test::Namespace&) {
       ProtectPolicy range = guarded_pair(2, "10.1.0.0/24", "10.3.0.0/24");
       range.selectors.local =
           Selector::of_range({*IpAddress::parse("10.1.0.10"), *IpAddress::parse("10.1.0.20")});
       must(guard.protect(range));
       must(guard.protect(guarded_pair(3, "10.1.0.16/30", "10.3.0.0/24")));
     },
     [](Guard& guard) { return guard.unprotect(Reqid{kReqidBase + 3}); }},
};

const std::vector<Fault> kFaults = {
    {Fault::Kind::refused, ENOMEM}, {Fault::Kind::refused, EEXIST}, {Fault::Kind::rest, EPERM},
    {Fault::Kind::lost, ENOBUFS},   {Fault::Kind::unheard, EAGAIN},
};

// An answer that says that it is so already, or that there is none: nobody asks twice.
bool believed(const std::string& request, const Fault& fault) {
  if (fault.kind != Fault::Kind::refused) return false;
  return fault.error == EEXIST && (request == "GETROUTE" || request == "NEWRULE");
}

class GuardFaults : public ::testing::TestWithParam<std::tuple<Plane, Step>> {
 protected:
  GuardFaults() {
    kernel = test::FaultyKernel{};
    kernel.hurries = true;
    test::connect(ns_, "outer", outside_, "outer");
    test::connect(ns_, "lan", inside_, "eth0");
    ns_.must(
        "ip addr add 192.0.2.1/24 dev outer; ip addr add 10.1.0.1/24 dev lan;"
        "ip route add default via 192.0.2.254; ip addr add 2001:db8::1/64 dev outer nodad;"
        "ip addr add 2001:db8:1::1/64 dev lan nodad; ip -6 route add default via 2001:db8::fe;"
        "ip link add tun type veth peer name tun-end; ip link set tun-end up; ip link set tun up;"
        // Other programs'.
        "ip route add 203.0.113.0/24 via 192.0.2.253; ip rule add pref 100 from 10.99.0.0/24 lookup main;"
        "ip xfrm policy add dir out src 10.77.0.0/24 dst 10.78.0.0/24 action allow");
    ns_.enter([&] {
      routing_.emplace(Routing::open().value());
      route_.emplace(NetlinkSocket::open(NetlinkFamily::route).value());
      xfrm_.emplace(NetlinkSocket::open(NetlinkFamily::xfrm).value());
      tun_ = routing_->find_link("tun").value().ifindex;
      lan_ = routing_->find_link("lan").value().ifindex;
      return 0;
    });
  }
  ~GuardFaults() override { kernel = test::FaultyKernel{}; }

  [[nodiscard]] static const Plane& plane() { return std::get<0>(GetParam()); }
  [[nodiscard]] static const Step& step() { return std::get<1>(GetParam()); }

  Tables tables() {
    Tables all;
    const auto routes = routing_->routes().value();
    for (const Route& route : routes)
      all.routes.push_back(route.to_string() + " proto " + std::to_string(route.protocol));
    std::sort(all.routes.begin(), all.routes.end());
    NetlinkMessage rules(RTM_GETRULE, 0);
    rules.put_header<rtmsg>();
    EXPECT_TRUE(route_->dump(rules, "list the rules", [&](const nlmsghdr& part) {
      const auto* raw = reinterpret_cast<const std::uint8_t*>(&part);
      all.rules.emplace_back(raw + sizeof(part), raw + part.nlmsg_len);
    }));
    std::sort(all.rules.begin(), all.rules.end());
    for (XfrmPolicy& policy : policies()) {
      std::vector<XfrmPolicy>& list = policy.ours() ? all.ours : all.others;
      policy.index = 0;
      list.push_back(policy);
    }
    std::sort(all.ours.begin(), all.ours.end());
    std::sort(all.others.begin(), all.others.end());
    return all;
  }
  std::vector<XfrmPolicy> policies() {
    std::vector<XfrmPolicy> all;
    NetlinkMessage message(XFRM_MSG_GETPOLICY, 0);
    message.put_header<xfrm_userpolicy_id>();
    EXPECT_TRUE(xfrm_->dump(message, "list the policies", [&](const nlmsghdr& part) {
      if (auto policy = parse_policy(part)) all.push_back(*policy);
    }));
    return all;
  }

  std::unique_ptr<Guard> open() {
    return ns_.enter([&] {
      return std::move(
          Guard::open(plane().software ? std::optional(tun_) : std::nullopt, plane().drop).value());
    });
  }
  // What the daemon does when the guard's descriptor is readable.
  static void settle(Guard& guard) {
    for (int turns = 0; turns < 20; ++turns) {
      pollfd waits{guard.fd(), POLLIN, 0};
      if (poll(&waits, 1, turns == 0 ? 5 : 1) != 1) return;
      const auto done = guard.dispatch();
      EXPECT_TRUE(done) << done.error().text;
    }
    ADD_FAILURE() << "it never comes to an end";
  }

  // A way for plaintext of the flow, in words; empty: none.
  std::string open_way(const Flow& flow) {
    const IpAddress from = *IpAddress::parse(flow.from);
    const IpAddress to = *IpAddress::parse(flow.to);
    if (plane().software) {
      const std::optional<unsigned> device = device_of(from, to);
      if (device && *device != tun_) return "out by device " + std::to_string(*device);
    } else if (!closed(PolicyDirection::out, from, to)) {
      return "out";
    }
    if (plane().drop != InboundDrop::xfrm) return {};
    for (const auto direction : {PolicyDirection::in, PolicyDirection::forward}) {
      if (!closed(direction, to, from)) return direction == PolicyDirection::in ? "in" : "forward";
    }
    return {};
  }
  bool closed(PolicyDirection direction, const IpAddress& from, const IpAddress& to) {
    const XfrmPolicy* best = nullptr;
    const std::vector<XfrmPolicy> all = policies();
    for (const XfrmPolicy& one : all) {
      if (one.direction != direction || one.fragments || !judges(one, from, to)) continue;
      if (best == nullptr || one.priority < best->priority) best = &one;
    }
    return best != nullptr && (best->action == PolicyAction::block || best->sa);
  }
  // Where a packet of the LAN's goes; none: it is not forwarded.
  std::optional<unsigned> device_of(const IpAddress& from, const IpAddress& to) {
    NetlinkMessage message(RTM_GETROUTE, 0);
    auto& header = message.put_header<rtmsg>();
    header.rtm_family = AF_INET;
    header.rtm_dst_len = header.rtm_src_len = 32;
    message.put_address(RTA_DST, to);
    message.put_address(RTA_SRC, from);
    message.put_u32(RTA_IIF, lan_);
    std::optional<unsigned> device;
    static_cast<void>(route_->request(message, "look", [&](const nlmsghdr& part) {
      const auto* reply = netlink_header<rtmsg>(part);
      if (reply != nullptr && reply->rtm_type == RTN_UNICAST)
        device = NetlinkAttributes(part, sizeof(rtmsg)).u32(RTA_OIF);
    }));
    return device;
  }

  // The first pair is guarded, and what the step needs; then the step, with a fault or none.
  Tables run(std::optional<unsigned> fails_at, const Fault& fault);

  test::Namespace ns_;
  test::Namespace outside_;
  test::Namespace inside_;
  std::optional<Routing> routing_;
  std::optional<NetlinkSocket> route_;
  std::optional<NetlinkSocket> xfrm_;
  unsigned tun_ = 0;
  unsigned lan_ = 0;
};

void expect_clear(const Error& error) {
  EXPECT_NE("", error.text);
  EXPECT_NE("", error.expected) << error.text;
  EXPECT_NE("", error.remedy) << error.text;
}

Tables GuardFaults::run(std::optional<unsigned> fails_at, const Fault& fault) {
  const Tables base = tables();
  const auto guard = open();
  must(guard->release_leftovers());
  must(guard->protect(kFirst));
  if (step().before) step().before(*guard, ns_);
  settle(*guard);
  kernel.each = [this] {
    EXPECT_EQ("", open_way({"10.1.0.9", "10.2.0.9"})) << "plaintext, after " << kernel.seen;
  };
  kernel.failed.clear();
  kernel.names.clear();
  kernel.seen = 0;
  kernel.fails_at = fails_at;
  kernel.fault = fault;
  kernel.counting = true;
  const auto done = step().run(*guard);
  if (!done) expect_clear(done.error());
  const unsigned requests = kernel.seen;
  kernel.fails_at.reset();
  settle(*guard);
  kernel.counting = false;
  kernel.names.resize(requests);
  Tables after = tables();
  EXPECT_EQ(base.others, after.others);
  // Once more: what was asked for can be asked for again.
  const auto again = step().run(*guard);
  EXPECT_TRUE(again || again.error().code == ErrorCode::not_found) << again.error().text;
  settle(*guard);
  EXPECT_EQ(after, tables()) << "asked for once more";
  must(guard->shut_down());
  EXPECT_EQ(base, tables()) << "at the end:\n" << tables().text();
  return after;
}

TEST_P(GuardFaults, WhicheverRequestFailsNothingLeaksAndAllIsMended) {
  const Tables wanted = run({}, {});
  const std::vector<std::string> requests = kernel.names;
  ASSERT_GE(requests.size(), 1U);
  for (unsigned number = 0; number < requests.size(); ++number) {
    for (const Fault& fault : kFaults) {
      if (believed(requests[number], fault)) continue;
      SCOPED_TRACE(testing::Message() << "request " << number << " " << fault.name());
      const Tables after = run(number, fault);
      ASSERT_NE("", kernel.failed);
      EXPECT_EQ(wanted, after) << kernel.failed << "\n--- wanted:\n"
                               << wanted.text() << "--- there:\n"
                               << after.text();
      if (HasFailure()) return;
    }
  }
}

// The daemon ends while requests fail: what is left then, the next start takes away.
class GuardEndFaults : public GuardFaults {};

TEST_P(GuardEndFaults, AnEndThatFailsIsCompletedByTheNextStart) {
  const Tables base = tables();
  unsigned requests = 1;
  for (unsigned number = 0; number < requests; ++number) {
    for (const Fault& fault : kFaults) {
      SCOPED_TRACE(testing::Message() << "request " << number << " " << fault.name());
      {
        const auto guard = open();
        must(guard->release_leftovers());
        must(guard->protect(kFirst));
        if (step().before) step().before(*guard, ns_);
        kernel.seen = 0;
        kernel.fails_at = number;
        kernel.fault = fault;
        kernel.each = {};
        kernel.counting = true;
        const auto done = guard->shut_down();
        kernel.counting = false;
        requests = number == 0 ? std::max(requests, kernel.seen) : requests;
        if (!done) expect_clear(done.error());
      }
      const auto next = open();
      must(next->release_leftovers());
      must(next->shut_down());
      EXPECT_EQ(base, tables()) << tables().text();
      if (HasFailure()) return;
    }
  }
}

constexpr Plane kPlanes[] = {{"kernel", false, InboundDrop::xfrm},
                             {"software", true, InboundDrop::xfrm},
                             {"nftables", true, InboundDrop::nftables}};

std::string name_of(const testing::TestParamInfo<std::tuple<Plane, Step>>& one) {
  return std::string(std::get<0>(one.param).name) + "_" + std::get<1>(one.param).name;
}
INSTANTIATE_TEST_SUITE_P(, GuardFaults,
                         ::testing::Combine(::testing::Values(kPlanes[0], kPlanes[1]),
                                            ::testing::ValuesIn(kSteps)),
                         name_of);
// With nftables all but the policies is as with XFRM.
INSTANTIATE_TEST_SUITE_P(WithNftables, GuardFaults,
                         ::testing::Combine(::testing::Values(kPlanes[2]),
                                            ::testing::Values(kSteps[1], kSteps[6])),
                         name_of);
INSTANTIATE_TEST_SUITE_P(, GuardEndFaults,
                         ::testing::Combine(::testing::ValuesIn(kPlanes), ::testing::Values(kSteps[6])),
                         name_of);

}  // namespace
}  // namespace oakgate
