// What setting up an SA costs the kernel when many are held: by an SPI chosen in user space and batched
// XFRM_MSG_NEWSA, our way (xfrm/netlink/xfrm_state.h), and by XFRM_MSG_ALLOCSPI for every SPI, which newer
// kernels answer by a walk over all SAs.
//
//   sa_setup [--sas N] [--count N] [--rounds N]      in a network namespace of its own; needs root
//
// Prints one line of JSON, SAs a second of processor time, which is the kernel's (lists: one figure a round,
// alternating):
//   newsa             with --sas held; empty in a kernel without ESP
//   allocspi          ALLOCSPI with --sas held, the part that is theirs alone
//   allocspi_and_updsa  the whole of their way; empty in a kernel without ESP
//   allocspi_empty    ALLOCSPI with none held
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "ike/base/algorithms.h"
#include "tests/bench/bench_thread.h"
#include "xfrm/netlink/xfrm_state.h"

namespace oakgate::bench {
namespace {

using Rates = std::vector<double>;

constexpr std::size_t kBatch = 64;  // requests in one call, as our plane sends them
constexpr std::uint32_t kOurSpis = 0x1000'0000;
constexpr std::uint32_t kTheirSpis = 0x8000'0000;

struct Options {
  std::uint32_t sas = 50'000;
  std::uint32_t count = 1'000;
  int rounds = 5;
};

// Network byte order in four bytes.
IpAddress v4(std::uint32_t address) {
  const std::array<std::uint8_t, 4> raw = {
      static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
      static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)};
  return IpAddress::from_bytes(raw).value_or(IpAddress());
}

constexpr std::uint32_t kGateway = 0xc000'0201;  // 192.0.2.1
// Each SA is that of a peer of its own, by address and reqid: how the kernel finds an SA by its peer is not
// what is measured.
constexpr std::uint32_t peer_address(std::uint32_t peer) {
  return 0x0a00'0000 + (peer & 0x00ff'ffff);  // 10.0.0.0/8
}
constexpr std::uint32_t peer_reqid(std::uint32_t peer) {
  return kReqidBase + 1 + peer % 60'000;
}

SaSpec our_sa(std::uint32_t spi, std::uint32_t peer) {
  SaSpec sa;
  sa.direction = Direction::in;
  sa.id = {v4(kGateway), IpsecProtocol::esp, Spi{spi}};
  sa.source = v4(peer_address(peer));
  sa.reqid = Reqid{peer_reqid(peer)};
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha;
  sa.encryption_key = SecretBytes(info(sa.cipher).key_bytes);
  sa.integrity_key = SecretBytes(info(*sa.integrity).key_bytes);
  return sa;
}

// Larval SAs live half a minute otherwise: less than it takes to make many of them.
void let_larval_sas_live() {
  std::FILE* setting = std::fopen("/proc/sys/net/core/xfrm_acq_expires", "we");
  if (setting == nullptr || std::fputs("7200", setting) < 0) give_up("net.core.xfrm_acq_expires");
  std::fclose(setting);
}

class Kernel {
 public:
  explicit Kernel(NetlinkSocket socket) : socket_(std::move(socket)) {}

  // Seconds for `count` of our SAs, in batches; negative: the kernel refuses.
  double newsa(std::uint32_t first, std::uint32_t count) {
    const double start = thread_seconds();
    for (std::uint32_t done = 0; done < count; done += kBatch) {
      std::vector<NetlinkMessage> batch;
      for (std::uint32_t i = done; i < std::min<std::uint32_t>(count, done + kBatch); ++i)
        batch.push_back(add_state_message(our_sa(kOurSpis + first + i, first + i)));
      if (!all_done(batch)) return -1;
    }
    return thread_seconds() - start;
  }
  void delete_newsa(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) remove(kOurSpis + first + i);
  }

  // Seconds for `count` larval SAs, one request at a time as every user of it has to; `update`: and each
  // filled with its keys. The SPIs go to allocated().
  double allocspi(std::uint32_t first, std::uint32_t count, bool update) {
    const double start = thread_seconds();
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t spi = allocate(first + i);
      if (spi == 0) return -1;
      allocated_.push_back(spi);
      if (!update) continue;
      std::vector<NetlinkMessage> one;
      one.push_back(add_state_message(our_sa(spi, first + i)));
      one.front().header().nlmsg_type = XFRM_MSG_UPDSA;
      one.front().header().nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
      if (!all_done(one)) return -1;
    }
    return thread_seconds() - start;
  }
  void delete_allocated() {
    for (const std::uint32_t spi : allocated_) remove(spi);
    allocated_.clear();
  }
  void keep_allocated() { allocated_.clear(); }

 private:
  bool all_done(std::span<NetlinkMessage> messages) {
    const auto answers = socket_.transact(messages);
    if (!answers) return false;
    for (const NetlinkAnswer& answer : *answers) {
      if (!answer.ok()) return false;
    }
    return true;
  }
  void remove(std::uint32_t spi) {
    std::vector<NetlinkMessage> one;
    one.push_back(remove_state_message({v4(kGateway), IpsecProtocol::esp, Spi{spi}}));
    (void)all_done(one);
  }
  // 0: refused.
  std::uint32_t allocate(std::uint32_t peer) {
    NetlinkMessage message(XFRM_MSG_ALLOCSPI, NLM_F_ACK);
    auto& request = message.put_header<xfrm_userspi_info>();
    request.info.family = AF_INET;
    request.info.id.proto = IPPROTO_ESP;
    request.info.id.daddr.a4 = htonl(kGateway);
    request.info.saddr.a4 = htonl(peer_address(peer));
    request.info.reqid = peer_reqid(peer);
    request.info.mode = XFRM_MODE_TUNNEL;
    request.info.seq = ++sequence_;
    request.min = kTheirSpis;
    request.max = 0xffff'ffff;
    std::uint32_t spi = 0;
    const auto answer = socket_.request(message, "allocate an SPI", [&](const nlmsghdr& reply) {
      if (const auto* sa = netlink_header<xfrm_usersa_info>(reply)) spi = ntohl(sa->id.spi);
    });
    return answer ? spi : 0;
  }

  NetlinkSocket socket_;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint32_t> allocated_;
};

struct Measured {
  bool kernel_esp = false;
  Rates newsa;
  Rates allocspi;
  Rates allocspi_and_updsa;
  Rates allocspi_empty;
};

class Measurement {
 public:
  Measurement(const Options& options, Kernel kernel) : options_(options), kernel_(std::move(kernel)) {}

  Measured run() {
    for (int round = 0; round < options_.rounds; ++round) by_allocspi(out_.allocspi_empty, false);
    hold();
    for (int round = 0; round < options_.rounds; ++round) {  // A B, B A
      if (round % 2 == 0) ours();
      if (out_.kernel_esp) by_allocspi(out_.allocspi_and_updsa, true);
      by_allocspi(out_.allocspi, false);
      if (round % 2 != 0) ours();
    }
    return out_;
  }

 private:
  // SAs where the kernel has ESP, larval ones where it has not: the walk meets both alike.
  void hold() {
    out_.kernel_esp = kernel_.newsa(options_.sas, 1) >= 0;  // a clock of coarse ticks says 0
    kernel_.delete_newsa(options_.sas, 1);
    const double seconds =
        out_.kernel_esp ? kernel_.newsa(0, options_.sas) : kernel_.allocspi(0, options_.sas, false);
    kernel_.keep_allocated();
    if (seconds < 0) give_up("the kernel takes no more SAs");
  }
  void ours() {
    if (!out_.kernel_esp) return;
    note(out_.newsa, kernel_.newsa(options_.sas, options_.count));
    kernel_.delete_newsa(options_.sas, options_.count);
  }
  void by_allocspi(Rates& rates, bool update) {
    note(rates, kernel_.allocspi(options_.sas, options_.count, update));
    kernel_.delete_allocated();
  }
  void note(Rates& rates, double seconds) const {
    if (seconds <= 0) give_up("the kernel refused an SA");
    rates.push_back(options_.count / seconds);
  }

  const Options& options_;
  Kernel kernel_;
  Measured out_;
};

int measure(const Options& options) {
  if (unshare(CLONE_NEWNET) != 0) give_up("a network namespace");
  let_larval_sas_live();
  auto socket = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!socket) give_up("an XFRM socket");
  const Measured measured = Measurement(options, Kernel(std::move(*socket))).run();
  const nlohmann::json out = {{"sas", options.sas},
                              {"kernel_esp", measured.kernel_esp},
                              {"newsa", measured.newsa},
                              {"allocspi", measured.allocspi},
                              {"allocspi_and_updsa", measured.allocspi_and_updsa},
                              {"allocspi_empty", measured.allocspi_empty}};
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  oakgate::bench::Options options;
  CLI::App app("SAs a second, with many held: batched NEWSA against ALLOCSPI");
  app.add_option("--sas", options.sas, "held while it is measured")->check(CLI::Range(1, 1'000'000));
  app.add_option("--count", options.count, "set up and removed again a round")->check(CLI::Range(1, 100'000));
  app.add_option("--rounds", options.rounds, "of each")->check(CLI::Range(1, 100));
  CLI11_PARSE(app, argc, argv);
  return oakgate::bench::measure(options);
}
