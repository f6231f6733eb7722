// The kernel plane with SAs of an earlier run, and when the kernel has lost its events. The topology is
// data_plane_contract.h's; one gateway is enough.

#include <algorithm>

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate::test {

namespace {

std::vector<SaId> sorted(std::vector<SaId> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<SaSpec> without_keys(std::vector<SaSpec> sas) {
  for (SaSpec& sa : sas) {
    sa.encryption_key = SecretBytes();
    sa.integrity_key = SecretBytes();
  }
  return sas;
}

}  // namespace

class KernelPlaneKept : public DataPlaneContract {
 protected:
  // The process ends, whichever way: nothing is taken away.
  void leave() {
    gateway(Side::a).with_plane([&](DataPlane&) { gateway(Side::a).plane.reset(); });
  }
  std::vector<SaId> come_back(std::vector<SaSpec> sas) {
    KeptStates kept{std::move(sas), {}};
    gateway(Side::a).ns.enter([&] { gateway(Side::a).plane = make_kernel_data_plane({}, &kept).value(); });
    return sorted(kept.stayed);
  }
  std::string states() { return gateway(Side::a).ns.output("ip xfrm state | grep -c '^src' || true"); }
};

TEST_F(KernelPlaneKept, EverySortOfSaIsKnownAgain) {
  std::vector<Tunnel> tunnels(8);
  for (std::uint32_t i = 0; i < tunnels.size(); ++i) {
    tunnels[i].number = i + 1;
    tunnels[i].left = "10.1." + std::to_string(i) + ".0/24";
  }
  tunnels[1].cipher = EspCipher::gcm_128;
  tunnels[1].integrity.reset();
  tunnels[2].protection = Protection::ah_esp;
  tunnels[3].udp = true;
  tunnels[4].integrity = Integrity::sha256_96;
  tunnels[5].outer = Family::ipv6;
  tunnels[6].ties.mark = {7, 0xff};
  tunnels[7].ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
  std::vector<SaSpec> all;
  std::vector<SaId> ids;
  for (const Tunnel& tunnel : tunnels) {
    ASSERT_TRUE(install(Side::a, tunnel).has_value()) << tunnel.number;
    for (SaSpec& sa : without_keys(tunnel.sas(Side::a))) {
      ids.push_back(sa.id);
      all.push_back(std::move(sa));
    }
  }
  leave();
  EXPECT_EQ(sorted(ids), come_back(std::move(all)));
  EXPECT_EQ(std::to_string(ids.size()) + "\n", states());
}

TEST_F(KernelPlaneKept, WhatIsNotQuiteTheSameGoes) {
  const Tunnel tunnel;
  using Change = std::function<void(SaSpec&)>;
  const std::vector<Change> changes{[](SaSpec& sa) { sa.cipher = EspCipher::aes_128; },
                                    [](SaSpec& sa) { sa.integrity = Integrity::sha256_96; },
                                    [](SaSpec& sa) { sa.source = *IpAddress::parse("192.0.2.77"); },
                                    [](SaSpec& sa) { sa.reqid.value += 1; },
                                    [](SaSpec& sa) { sa.mode = EncapsulationMode::transport; },
                                    [](SaSpec& sa) {
                                      sa.selectors.local.port = 80;
                                      sa.selectors.local.protocol = sa.selectors.remote.protocol = 6;
                                    },
                                    [](SaSpec& sa) {
                                      sa.ties.mark = {7, 0xff};
                                    },
                                    [](SaSpec& sa) { sa.ties.interface = TunnelInterface{.if_id = 7}; },
                                    [](SaSpec& sa) { sa.encapsulation = UdpEncapsulation{}; }};
  for (const Change& change : changes) {
    ASSERT_TRUE(install(Side::a, tunnel).has_value());
    leave();
    std::vector<SaSpec> kept = without_keys(tunnel.sas(Side::a));
    for (SaSpec& sa : kept) change(sa);
    EXPECT_TRUE(come_back(std::move(kept)).empty());
    EXPECT_EQ("0\n", states());
  }
}

TEST_F(KernelPlaneKept, WhatStaysIsRemovedAndEndsLikeAnyOther) {
  Tunnel tunnel;
  tunnel.hard_time = Seconds(4);
  Tunnel other;
  other.number = 2;
  other.left = "10.1.7.0/24";
  ASSERT_TRUE(install(Side::a, tunnel).has_value());
  ASSERT_TRUE(install(Side::a, other).has_value());
  leave();
  std::vector<SaSpec> kept = without_keys(tunnel.sas(Side::a));
  for (SaSpec& sa : without_keys(other.sas(Side::a))) kept.push_back(std::move(sa));
  ASSERT_EQ(4U, come_back(std::move(kept)).size());
  const std::vector<SaId> others{other.inbound(Side::a), other.outbound(Side::a)};
  EXPECT_TRUE(
      gateway(Side::a).with_plane([&](DataPlane& plane) { return plane.remove(others); }).has_value());
  EXPECT_TRUE(await([&] { return gateway(Side::a).heard.expired.size() == 2; }, 10000));
  gateway(Side::a).with_plane([](DataPlane& plane) { plane.shut_down(); });
  EXPECT_EQ("0\n", states());
}

// Far more expire at once than the socket has room for: one dump says which.
TEST_F(KernelPlaneKept, EventsThatWereLostAreMadeUpFor) {
  constexpr std::uint32_t kTunnels = 1500;
  for (std::uint32_t i = 1; i <= kTunnels; ++i) {
    Tunnel tunnel;
    tunnel.number = i;
    tunnel.hard_time = Seconds(i == kTunnels ? 1000 : 3);
    ASSERT_TRUE(install(Side::a, tunnel).has_value()) << i;
  }
  ASSERT_EQ(0, gateway(Side::a).ns.sh(
                   "timeout 60 sh -c 'until [ $(ip xfrm state | grep -c ^src) = 2 ]; do :; done'"));
  EXPECT_TRUE(await([&] { return gateway(Side::a).heard.expired.size() >= 2 * (kTunnels - 1); }, 20000));
  std::vector<SaId> expired = sorted(gateway(Side::a).heard.expired);
  EXPECT_EQ(2 * (kTunnels - 1), expired.size());
  EXPECT_EQ(expired.end(), std::adjacent_find(expired.begin(), expired.end())) << "each once";
}

}  // namespace oakgate::test
