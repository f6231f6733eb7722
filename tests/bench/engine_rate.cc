// Encapsulation in memory: how many packets a second one processor takes through the software plane's engine
// (policy, SA, ESP header, AES-128-GCM, UDP framing; no TUN and no sockets), and how many ipsec-mb alone
// encrypts, of the same size, with as many keys, in the same places.
//
//   engine_rate --case SIZE:SAS [--case ...] [--rounds N] [--seconds S]
//
// SIZE: of the inner packet; SAS: as many SAs, each of its own peer, in random order. All cases take turns,
// and each with ipsec-mb: A B B A. Time is the thread's own processor time. Prints one line of JSON:
// {"cases": [{"size", "sas", "oakgate": [packets a second, a round each], "ipsec_mb": [...],
// "ipsec_mb_prefetched": [...]}]}; the last is ipsec-mb with each key brought into the cache four packets
// ahead, which is what a gateway of many SAs could reach at best.
#include <intel-ipsec-mb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "ike/base/algorithms.h"
#include "tests/bench/bench_thread.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::bench {
namespace {

using soft::EngineOutput;
using soft::EspEngine;
using soft::PacketBatch;

constexpr std::size_t kIpHeader = 20;
constexpr std::size_t kTag = 16;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kAad = 8;
constexpr std::uint32_t kGateway = 0xc000'0201;  // 192.0.2.1
constexpr std::uint32_t kPeers = 0x0a00'0000;    // 10.0.0.0/8, outer
constexpr std::uint32_t kLan = 0xac10'0001;      // 172.16.0.1
constexpr std::uint32_t kLans = 0x6440'0000;     // 100.64.0.0/10, the host behind each peer

std::array<std::uint8_t, 4> network_order(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}
IpAddress v4(std::uint32_t address) {
  return IpAddress::from_bytes(network_order(address)).value_or(IpAddress());
}

// Which SA the next packets take.
class Order {
 public:
  explicit Order(std::size_t count) : order_(count) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(count));
  }
  std::uint32_t next() {
    if (at_ == order_.size()) at_ = 0;
    return order_[at_++];
  }

 private:
  std::vector<std::uint32_t> order_;
  std::size_t at_ = 0;
};

// One contestant: work() is a batch.
class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual std::size_t work() = 0;  // packets done
  double packets_a_second(double seconds) {
    std::size_t done = 0;
    const double start = thread_seconds();
    double elapsed = 0;
    while (elapsed < seconds) {
      for (int i = 0; i < 64; ++i) done += work();
      elapsed = thread_seconds() - start;
    }
    return static_cast<double>(done) / elapsed;
  }
};

class Engine final : public Contestant {
 public:
  Engine(std::size_t size, std::uint32_t sas)
      : engine_({[](const soft::OuterPath&) { return std::size_t{0}; },
                 [](std::span<std::uint8_t>) { return true; }}),
        order_(sas) {
    for (std::uint32_t i = 0; i < sas; ++i) install(i);
    header_ = {0x45, 0, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size), 0, 0, 0, 0,
               64,   17};
    const auto source = network_order(kLan);
    std::copy(source.begin(), source.end(), header_.begin() + 12);
    for (std::size_t i = 0; i < kIpHeader; i += 2)
      sum_ += static_cast<std::uint32_t>(header_[i] << 8 | header_[i + 1]);
    size_ = size;
  }

  std::size_t work() override {
    batch_.clear();
    while (!batch_.full()) {
      const auto room = batch_.next_room().first(size_);
      write_header(room, kLans + order_.next());
      batch_.add(room);
    }
    out_.clear();
    engine_.outbound(batch_, Instant{Milliseconds(1000)}, out_);
    if (out_.sealed.size() != batch_.size()) give_up("the engine did not seal every packet");
    return batch_.size();
  }

 private:
  void install(std::uint32_t index) {
    const SelectorPair selectors{{Subnet::host(v4(kLan))}, {Subnet::host(v4(kLans + index))}};
    ProtectPolicy policy;
    policy.reqid = Reqid{kReqidBase + index};
    policy.selectors = selectors;
    policy.local_gateway = v4(kGateway);
    policy.remote_gateway = v4(kPeers + index);
    SaSpec sa;
    sa.direction = Direction::out;
    sa.id = {v4(kPeers + index), IpsecProtocol::esp, Spi{0x1000 + index}};
    sa.source = v4(kGateway);
    sa.reqid = policy.reqid;
    sa.selectors = selectors;
    sa.cipher = EspCipher::gcm_128;
    sa.encryption_key = SecretBytes(Bytes(info(sa.cipher).key_bytes + info(sa.cipher).salt_bytes, 0x5a));
    sa.encapsulation = UdpEncapsulation{4500, 4500};
    if (!engine_.protect(policy) || !engine_.install({&sa, 1}, Instant{})) give_up("the engine took no SA");
  }
  // What sealing overwrote: the header up to the destination, with its checksum, most of which is known.
  void write_header(std::span<std::uint8_t> packet, std::uint32_t destination) {
    const auto to = network_order(destination);
    std::uint32_t sum = sum_ + (destination >> 16) + (destination & 0xffff);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    std::copy(header_.begin(), header_.end(), packet.begin());
    packet[10] = static_cast<std::uint8_t>(~sum >> 8);
    packet[11] = static_cast<std::uint8_t>(~sum);
    std::copy(to.begin(), to.end(), packet.begin() + 16);
  }

  EspEngine engine_;
  Order order_;
  PacketBatch batch_;
  EngineOutput out_;
  std::array<std::uint8_t, kIpHeader> header_{};
  std::uint32_t sum_ = 0;  // of its 16-bit words
  std::size_t size_ = 0;
};

// The same bytes in the same places, and nothing but the cipher.
class Cipher final : public Contestant {
 public:
  // `ahead`: so many packets ahead a key is brought into the cache; 0: it is not.
  Cipher(std::size_t size, std::uint32_t sas, std::size_t ahead)
      : keys_(sas), order_(sas), size_(size), ahead_(ahead) {
    if (manager_ == nullptr) give_up("ipsec-mb");
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager_.get(), &arch);
    std::array<std::uint8_t, IMB_GCM_128_KEY_LEN> key{};
    for (gcm_key_data& one : keys_) {
      key[0] = static_cast<std::uint8_t>(key[0] + 1);
      manager_->gcm128_pre(key.data(), &one);
    }
    while (!batch_.full()) batch_.add(batch_.next_room().first(size_));
  }

  std::size_t work() override {
    std::array<gcm_key_data*, PacketBatch::kCapacity> keys{};
    for (std::size_t i = 0; i < batch_.size(); ++i) keys.at(i) = &keys_[order_.next()];
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (ahead_ != 0 && i + ahead_ < batch_.size()) prefetch(*keys.at(i + ahead_));
      std::uint8_t* const data = batch_.packets()[i].bytes.data();
      ++nonce_[0];
      manager_->gcm128_enc(keys.at(i), &context_, data, data, size_, nonce_.data(), aad_.data(), aad_.size(),
                           data + size_, kTag);
    }
    return batch_.size();
  }

 private:
  static void prefetch(const gcm_key_data& key) {
    const auto* const bytes = reinterpret_cast<const char*>(&key);
    for (std::size_t at = 0; at < sizeof key; at += 64) __builtin_prefetch(bytes + at);
  }

  struct Free {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
  };
  std::unique_ptr<IMB_MGR, Free> manager_{alloc_mb_mgr(0)};
  std::vector<gcm_key_data> keys_;
  gcm_context_data context_{};
  Order order_;
  PacketBatch batch_;
  std::size_t size_;
  std::size_t ahead_;
  std::array<std::uint8_t, kNonce> nonce_{};
  std::array<std::uint8_t, kAad> aad_{};
};

struct Case {
  std::size_t size;
  std::uint32_t sas;
  Engine engine{size, sas};
  Cipher cipher{size, sas, 0};
  Cipher prefetching{size, sas, 4};
  std::vector<double> oakgate{};
  std::vector<double> ipsec_mb{};
  std::vector<double> prefetched{};
};

std::unique_ptr<Case> parse(const std::string& text) {
  const std::size_t colon = text.find(':');
  const unsigned long size = std::strtoul(text.c_str(), nullptr, 10);
  const unsigned long sas =
      colon == std::string::npos ? 0 : std::strtoul(text.c_str() + colon + 1, nullptr, 10);
  if (size < 64 || size > 9000 || sas < 1 || sas > 1'000'000) {
    std::fprintf(stderr, "engine_rate: --case %s: expected SIZE:SAS, 64 to 9000 and 1 to 1000000\n",
                 text.c_str());
    std::exit(2);
  }
  return std::unique_ptr<Case>(new Case{size, static_cast<std::uint32_t>(sas)});
}

int measure(const std::vector<std::string>& texts, int rounds, double seconds) {
  std::vector<std::unique_ptr<Case>> cases;
  for (const std::string& text : texts) cases.push_back(parse(text));
  for (int round = 0; round < rounds; ++round) {
    const bool forth = round % 2 == 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      Case& one = *cases[forth ? i : cases.size() - 1 - i];
      if (forth) one.oakgate.push_back(one.engine.packets_a_second(seconds));
      one.ipsec_mb.push_back(one.cipher.packets_a_second(seconds));
      one.prefetched.push_back(one.prefetching.packets_a_second(seconds));
      if (!forth) one.oakgate.push_back(one.engine.packets_a_second(seconds));
    }
  }
  nlohmann::json out = nlohmann::json::array();
  for (const auto& one : cases)
    out.push_back({{"size", one->size},
                   {"sas", one->sas},
                   {"oakgate", one->oakgate},
                   {"ipsec_mb", one->ipsec_mb},
                   {"ipsec_mb_prefetched", one->prefetched}});
  std::printf("%s\n", nlohmann::json{{"cases", out}}.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  std::vector<std::string> cases;
  int rounds = 5;
  double seconds = 0.2;
  CLI::App app("encapsulation in memory, against ipsec-mb alone");
  app.add_option("--case", cases, "SIZE:SAS")->required();
  app.add_option("--rounds", rounds, "of each")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", seconds, "of processor time, each")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  return oakgate::bench::measure(cases, rounds, seconds);
}
