// ESP in memory, by Google Benchmark: a batch of packets sealed and opened again by each backend, without
// engine, TUN and sockets. For what the engine adds see engine_rate.cc.
//
//   esp_memory [--benchmark_filter=REGEX] [--benchmark_format=json]
//
// A name is OPERATION/ALGORITHM/BACKEND/INNER BYTES/PACKETS AT ONCE; `items_per_second` are packets, by
// processor time.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "xfrm/soft/crypto_batch.h"

namespace oakgate::bench {
namespace {

using soft::CryptoBackend;

struct Suite {
  const char* name;
  EspCipher cipher;
  std::optional<Integrity> integrity;
};
constexpr std::array kSuites{Suite{"aes-128-gcm", EspCipher::gcm_128, {}},
                             Suite{"aes-128-cbc-sha1", EspCipher::aes_128, Integrity::sha},
                             Suite{"aes-256-cbc-sha256", EspCipher::aes_256, Integrity::sha256},
                             Suite{"3des-sha1", EspCipher::des3, Integrity::sha},
                             Suite{"3des-md5", EspCipher::des3, Integrity::md5}};

// One SA and a batch of its packets. What is chosen is asked for, not forced: few packets may go by OpenSSL.
struct Rig {
  Rig(const Suite& suite, CryptoBackend backend, std::size_t size, std::size_t count) {
    const SecretBytes encryption(Bytes(info(suite.cipher).key_bytes + info(suite.cipher).salt_bytes, 0x5a));
    const SecretBytes integrity(Bytes(suite.integrity ? info(*suite.integrity).key_bytes : 0, 0xa5));
    const bool forced = backend == CryptoBackend::openssl;
    const std::optional<CryptoBackend> wanted = forced ? std::optional(backend) : std::nullopt;
    auto sealing = soft::EspSealer::create(suite.cipher, suite.integrity, encryption, integrity,
                                           soft::Covered::by_itself, wanted);
    auto opening = soft::EspOpener::create(suite.cipher, suite.integrity, encryption, integrity,
                                           soft::Covered::by_itself, wanted);
    if (!sealing || !opening) return;
    sealer.emplace(std::move(*sealing));
    opener.emplace(std::move(*opening));
    const std::size_t sealed = sealer->layout().sealed_size(size);
    packets.assign(count, Bytes(sealed));
    for (std::size_t i = 0; i < count; ++i) {
      soft::SealRequest request;
      request.sealer = &*sealer;
      request.packet = packets[i];
      request.header = {Spi{0x1000}, i + 1};
      request.inner_size = size;
      request.next_header = 4;
      seals.push_back(request);
    }
  }
  bool seal() {
    batch.seal(seals);
    bool all = true;
    for (const soft::SealRequest& request : seals) all = all && request.sealed;
    return all;
  }

  std::optional<soft::EspSealer> sealer;
  std::optional<soft::EspOpener> opener;
  std::vector<Bytes> packets;
  std::vector<soft::SealRequest> seals;
  soft::CryptoBatch batch;
};

void encapsulate(benchmark::State& state, const Suite& suite, CryptoBackend backend) {
  Rig rig(suite, backend, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  if (!rig.sealer || !rig.seal()) return state.SkipWithError("the packets cannot be sealed");
  for (auto _ : state) benchmark::DoNotOptimize(rig.seal());
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

// Opening spoils a packet, so each is laid out anew first: that copy is within the time, of both backends.
void decapsulate(benchmark::State& state, const Suite& suite, CryptoBackend backend) {
  Rig rig(suite, backend, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  if (!rig.sealer || !rig.seal()) return state.SkipWithError("the packets cannot be sealed");
  std::vector<Bytes> copies = rig.packets;
  std::vector<soft::OpenRequest> opens;
  for (Bytes& copy : copies) opens.push_back({&*rig.opener, copy, 0, {}});
  bool all = true;
  for (auto _ : state) {
    for (std::size_t i = 0; i < copies.size(); ++i) {
      std::copy(rig.packets[i].begin(), rig.packets[i].end(), copies[i].begin());
    }
    rig.batch.open(opens);
    for (const soft::OpenRequest& request : opens)
      all = all && request.opened.verdict == soft::OpenVerdict::ok;
  }
  if (!all) return state.SkipWithError("a packet did not open");
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void add_all() {
  using Work = void (*)(benchmark::State&, const Suite&, CryptoBackend);
  const auto add = [](const char* operation, Work work, const Suite& suite, CryptoBackend backend) {
    const char* const by = backend == CryptoBackend::openssl ? "openssl" : "chosen";
    const std::string name = std::string(operation) + "/" + suite.name + "/" + by;
    benchmark::RegisterBenchmark(name.c_str(), [work, &suite, backend](benchmark::State& state) {
      work(state, suite, backend);
    })->ArgsProduct({{64, 512, 1408}, {1, 32}});
  };
  for (const Suite& suite : kSuites) {
    for (const CryptoBackend backend : {CryptoBackend::openssl, CryptoBackend::ipsec_mb}) {
      add("encapsulate", encapsulate, suite, backend);
      add("decapsulate", decapsulate, suite, backend);
    }
  }
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  oakgate::bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
