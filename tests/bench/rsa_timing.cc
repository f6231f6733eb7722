// Whether the time of an RSA decryption tells a well-padded block from a malformed one: the oracle of
// Bleichenbacher's attack (CVE-2018-0131 and its kin). Two classes of ciphertexts, in random order: nonces
// that are well padded (and wrong: the attacker does not know the right one), and malformed blocks of every
// sort. Welch's t over a million timings has to stay below 4.5.
//
// The control measures the same with a decryption as it is usually written, whose answer to a malformed block
// is made only when it is needed: it has to exceed 4.5, or the measurement could not see a leak either.
//
//   rsa_timing [--samples N] [--bits N] [--no-verdict]
//
// Exit status 0: both as they should be. 1: not so. 2: usage.
#include <openssl/rsa.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "ike/crypto/pkcs1.h"
#include "ike/crypto/prf.h"
#include "ike/crypto/private_key.h"
#include "tests/bench/welch.h"

namespace oakgate::bench {
namespace {

constexpr std::size_t kNonceBytes = 20;
constexpr std::size_t kAtLeast = 8;  // of a nonce, RFC 2409 section 5
constexpr std::size_t kAtMost = 64;
constexpr std::size_t kBatch = 1000;   // ciphertexts made at a time
constexpr std::size_t kWarmUp = 1000;  // timings that do not count: caches, blinding, frequency
constexpr std::size_t kDefaultSamples = 1'000'000;
constexpr int kDefaultBits = 1024;

struct Options {
  std::size_t samples = kDefaultSamples;
  int bits = kDefaultBits;
  bool verdict = true;
};

using Random = std::mt19937_64;  // of test data only

std::uint8_t nonzero(Random& random) {
  return static_cast<std::uint8_t>(random() % 255 + 1);
}

// 00 02 <nonzero> 00 <nonce>
Bytes well_padded(std::size_t size, Random& random) {
  Bytes block(size);
  for (std::uint8_t& byte : block) byte = nonzero(random);
  for (std::size_t i = size - kNonceBytes; i < size; ++i) block[i] = static_cast<std::uint8_t>(random());
  block[0] = 0;
  block[1] = 2;
  block[size - kNonceBytes - 1] = 0;
  return block;
}

// Every way of being wrong that a block below the modulus has.
Bytes malformed(std::size_t size, Random& random) {
  Bytes block = well_padded(size, random);
  switch (random() % 6) {
    case 0:
      block[0] = 1;
      break;
    case 1:
      block[1] = nonzero(random) == 2 ? 1 : 3;
      break;
    case 2:
      block[2 + random() % 8] = 0;  // too little padding
      break;
    case 3:  // no separator
      for (std::size_t i = 2; i < size; ++i) block[i] = nonzero(random);
      break;
    case 4:
      block[size - kAtLeast] = 0;  // content too short: the separator before it goes
      block[size - kNonceBytes - 1] = 1;
      for (std::size_t i = size - kNonceBytes; i < size - kAtLeast; ++i) block[i] = nonzero(random);
      break;
    default:  // what an attacker has most often: anything
      for (std::uint8_t& byte : block) byte = static_cast<std::uint8_t>(random());
      block[0] = 0;
      block[1] = nonzero(random) == 2 ? 1 : block[1];
      if (block[1] == 2) block[1] = 4;
      break;
  }
  return block;
}

class Target {
 public:
  explicit Target(crypto::PrivateKey key) : key_(std::move(key)) {}

  [[nodiscard]] std::size_t block_bytes() const { return key_.info().block_bytes; }

  [[nodiscard]] Bytes encrypt(const Bytes& block) const {
    return raw(block, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt);
  }

  [[nodiscard]] SecretBytes ours(ByteView block) const {
    auto opened = key_.decrypt(block, kAtLeast, kAtMost);
    return opened ? std::move(*opened) : SecretBytes();
  }

  // As it is usually written: it looks, it leaves early, and makes the stand-in only then.
  [[nodiscard]] SecretBytes control(ByteView block) const {
    const Bytes opened = raw(block, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt);
    const auto stand_in = [&] {
      auto random = crypto::prf(IkeHash::sha256, opened, {block});
      return random ? std::move(*random) : SecretBytes();
    };
    if (opened.size() < crypto::kPkcs1Overhead || opened[0] != 0 || opened[1] != 2) return stand_in();
    std::size_t separator = 2;
    while (separator < opened.size() && opened[separator] != 0) ++separator;
    const std::size_t length = opened.size() - 1 - separator;
    if (separator == opened.size() || separator < 10 || length < kAtLeast || length > kAtMost) {
      return stand_in();
    }
    return SecretBytes(ByteView(opened).last(length));
  }

 private:
  template <typename Begin, typename Do>
  [[nodiscard]] Bytes raw(ByteView block, Begin begin, Do act) const {
    const crypto::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.native(), nullptr));
    Bytes out(block.size());
    std::size_t size = out.size();
    if (!context || begin(context.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) != 1 ||
        act(context.get(), out.data(), &size, block.data(), block.size()) != 1) {
      std::fputs("RSA failed\n", stderr);
      std::exit(1);
    }
    return out;
  }

  crypto::PrivateKey key_;
};

using Variant = SecretBytes (Target::*)(ByteView) const;

std::vector<Sample> measure(const Target& target, Variant variant, std::size_t count, const char* name) {
  struct Input {
    Bytes block;
    bool malformed = false;
  };
  Random random(std::random_device{}());
  std::vector<Sample> samples;
  samples.reserve(count);
  std::size_t warm_up = kWarmUp;
  while (samples.size() < count) {
    std::vector<Input> batch(kBatch);
    for (Input& input : batch) {
      input.malformed = (random() & 1U) != 0;
      input.block = target.encrypt(input.malformed ? malformed(target.block_bytes(), random)
                                                   : well_padded(target.block_bytes(), random));
    }
    for (const Input& input : batch) {
      const auto before = std::chrono::steady_clock::now();
      (void)(target.*variant)(input.block);
      const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - before;
      if (warm_up > 0) {
        --warm_up;
      } else {
        samples.push_back({taken.count(), input.malformed});
      }
      if (samples.size() == count) break;
    }
    if (samples.size() % 100'000 == 0 && !samples.empty()) {
      std::printf("  %s: %zu of %zu\n", name, samples.size(), count);
      std::fflush(stdout);
    }
  }
  return samples;
}

void print(const char* name, const Outcome& outcome) {
  std::printf("%s: %zu well-padded, mean %.1f ns; %zu malformed, mean %.1f ns\n", name, outcome.counts[0],
              outcome.means[0], outcome.counts[1], outcome.means[1]);
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    std::printf("  of the fastest %5.1f %%: t = %8.2f\n", kKept[i] * 100, outcome.t[i]);
  }
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--no-verdict") {
      options.verdict = false;
      continue;
    }
    if (i + 1 == argc) return false;
    const long value = std::strtol(argv[++i], nullptr, 10);
    if (word == "--samples" && value >= 100) {
      options.samples = static_cast<std::size_t>(value);
    } else if (word == "--bits" && value >= kMinRsaBits && value <= kMaxRsaBits) {
      options.bits = static_cast<int>(value);
    } else {
      return false;
    }
  }
  return true;
}

int run(const Options& options) {
  auto key = crypto::PrivateKey::generate_rsa(options.bits);
  if (!key) {
    std::fprintf(stderr, "%s\n", key.error().text.c_str());
    return 1;
  }
  const Target target(std::move(*key));
  std::printf("RSA of %d bits, %zu timings\n", options.bits, options.samples);
  const Outcome ours = compare(measure(target, &Target::ours, options.samples, "ours"));
  const Outcome control = compare(measure(target, &Target::control, options.samples, "control"));
  print("ours", ours);
  print("control", control);
  const bool good = ours.worst < kThreshold && control.worst > kThreshold;
  std::printf("ours: |t| = %.2f, has to be below %.1f; control: |t| = %.2f, has to be above %.1f: %s\n",
              ours.worst, kThreshold, control.worst, kThreshold,
              !options.verdict ? "no verdict asked for"
              : good           ? "as it should be"
                               : "WRONG");
  return good || !options.verdict ? 0 : 1;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  oakgate::bench::Options options;
  if (!oakgate::bench::parse(argc, argv, options)) {
    std::fputs("usage: rsa_timing [--samples N] [--bits N] [--no-verdict]\n", stderr);
    return 2;
  }
  return oakgate::bench::run(options);
}
