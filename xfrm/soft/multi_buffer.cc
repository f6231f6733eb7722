// What the library's version 1.3 asks for, and where it lies: bursts are synchronous and must never meet jobs
// that are still under way, so jobs have a manager of their own and are drained before a call returns;
// IMB_QUEUE_SIZE and GET_NEXT_BURST are wrong once the ring has wrapped, so neither is used; tags come whole
// (or cut as the RFCs of IPsec do), so they are always asked for whole.
#include "xfrm/soft/multi_buffer.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "xfrm/soft/prefetch.h"
#include "xfrm/soft/slab.h"

namespace oakgate::soft {

namespace {

struct ManagerDeleter {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using ManagerHandle = std::unique_ptr<IMB_MGR, ManagerDeleter>;

const char* instructions(IMB_ARCH arch) {
  switch (arch) {
    case IMB_ARCH_SSE:
      return "SSE";
    case IMB_ARCH_AVX:
      return "AVX";
    case IMB_ARCH_AVX2:
      return "AVX2";
    case IMB_ARCH_AVX512:
      return "AVX512";
    default:
      return nullptr;  // without AES instructions OpenSSL is as good
  }
}

// Its functions are what is used of it: the direct calls change nothing in it.
struct Manager {
  ManagerHandle manager{alloc_mb_mgr(0)};
  MultiBufferLibrary library;

  Manager() {
    if (!manager) {
      library.why = "ipsec-mb cannot be set up";
      return;
    }
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager.get(), &arch);
    const char* const found = instructions(arch);
    library.name = std::string("ipsec-mb ") + imb_get_version_str();
    if (const int error = imb_get_errno(manager.get()); error != 0) {
      library.why = library.name + " cannot be set up: " + imb_get_strerror(error);
    } else if (found == nullptr) {
      library.why = "this CPU has no AES instructions that " + library.name + " knows";
    } else if ((manager->features & IMB_FEATURE_SELF_TEST) != 0 &&
               (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0) {
      library.why = library.name + " failed its own test";
    } else {
      library.name += std::string(" (") + found + ")";
      library.usable = true;
      library.des = arch == IMB_ARCH_AVX512;
    }
  }
};

const Manager& manager() {
  static const Manager one;
  return one;
}

// Pays when its packets are many; more than this would only fill the cache.
constexpr std::size_t kAtOnce = 64;
static_assert(kAtOnce <= IMB_MAX_BURST_SIZE);

struct ThreadManagers {
  ManagerHandle bursts{alloc_mb_mgr(0)};
  ManagerHandle jobs{alloc_mb_mgr(0)};
  std::array<IMB_JOB, kAtOnce> burst{};
  bool usable = false;

  ThreadManagers() {
    if (!manager().library.usable || !bursts || !jobs) return;
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(bursts.get(), &arch);
    init_mb_mgr_auto(jobs.get(), &arch);
    usable = imb_get_errno(bursts.get()) == 0 && imb_get_errno(jobs.get()) == 0;
  }
};

ThreadManagers& this_thread() {
  thread_local ThreadManagers own;
  return own;
}

// `fill(job, index)` says what is to be done. True: all of it has been done.
template <typename Fill>
bool run_jobs(ThreadManagers& own, std::size_t count, Fill fill) {
  IMB_MGR* const jobs = own.jobs.get();
  std::size_t done = 0;
  const auto collect = [&done](const IMB_JOB* job) {
    if (job != nullptr && job->status == IMB_STATUS_COMPLETED) ++done;
    return job != nullptr;
  };
  for (std::size_t i = 0; i < count; ++i) {
    IMB_JOB* const job = IMB_GET_NEXT_JOB(jobs);
    fill(*job, i);
    if (!collect(IMB_SUBMIT_JOB_NOCHECK(jobs))) continue;
    while (collect(IMB_GET_COMPLETED_JOB(jobs))) {
    }
  }
  while (collect(IMB_FLUSH_JOB(jobs))) {
  }
  return done == count;
}

// `submit(jobs, count)` gives back how many were done.
template <typename Fill, typename Submit>
bool run_burst(ThreadManagers& own, std::size_t count, Fill fill, Submit submit) {
  for (std::size_t i = 0; i < count; ++i) {
    fill(own.burst.at(i), i);
    own.burst.at(i).status = IMB_STATUS_BEING_PROCESSED;
  }
  if (submit(own.burst.data(), static_cast<std::uint32_t>(count)) != count) return false;
  return std::all_of(own.burst.begin(), own.burst.begin() + static_cast<std::ptrdiff_t>(count),
                     [](const IMB_JOB& job) { return job.status == IMB_STATUS_COMPLETED; });
}

// The library reads and writes anything if it is asked for no bytes, or for more than it can count.
template <typename Job>
bool lengths_good(std::span<const Job> jobs) {
  return std::all_of(jobs.begin(), jobs.end(),
                     [](const Job& job) { return !job.data.empty() && job.data.size() <= kMaxMultiBuffer; });
}

}  // namespace

const MultiBufferLibrary& multi_buffer_library() {
  return manager().library;
}

// ---- GCM

struct alignas(kCacheLine) MultiBufferGcm::Keyed {
  gcm_key_data key{};
  aes_gcm_enc_dec_t seal = nullptr;
  aes_gcm_enc_dec_t open = nullptr;
  ~Keyed() { OPENSSL_cleanse(&key, sizeof(key)); }
  static void* operator new(std::size_t, std::align_val_t) { return slab_of<Keyed>().take(); }
  static void operator delete(void* keyed, std::align_val_t) { slab_of<Keyed>().give(keyed); }
};

MultiBufferGcm MultiBufferGcm::create(ByteView key) {
  MultiBufferGcm made;
  if (!manager().library.usable) return made;
  IMB_MGR* const functions = manager().manager.get();
  auto keyed = std::make_unique<Keyed>();
  switch (key.size()) {
    case IMB_GCM_128_KEY_LEN:
      functions->gcm128_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm128_enc;
      keyed->open = functions->gcm128_dec;
      break;
    case IMB_GCM_192_KEY_LEN:
      functions->gcm192_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm192_enc;
      keyed->open = functions->gcm192_dec;
      break;
    case IMB_GCM_256_KEY_LEN:
      functions->gcm256_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm256_enc;
      keyed->open = functions->gcm256_dec;
      break;
    default:
      return made;
  }
  made.keyed_ = std::move(keyed);
  return made;
}

MultiBufferGcm::MultiBufferGcm() noexcept = default;
MultiBufferGcm::MultiBufferGcm(MultiBufferGcm&&) noexcept = default;
MultiBufferGcm& MultiBufferGcm::operator=(MultiBufferGcm&&) noexcept = default;
MultiBufferGcm::~MultiBufferGcm() = default;

void MultiBufferGcm::prefetch(std::size_t bytes) const {
  // The key holds the round keys and then the powers of the hash key, the first power last: a short packet
  // needs only the end of them.
  constexpr std::size_t kRounds = sizeof(keyed_->key.expanded_keys);
  constexpr std::size_t kPowers = sizeof(gcm_key_data) - kRounds;
  const std::size_t used = std::min(kPowers, bytes + 64);
  const auto* const key = reinterpret_cast<const char*>(&keyed_->key);
  prefetch_lines(key, kRounds);
  prefetch_lines(key + sizeof(gcm_key_data) - used, used);
  prefetch_line(&keyed_->seal);
}

void MultiBufferGcm::seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag) const {
  gcm_context_data context;  // the call writes it before it reads it
  keyed_->seal(&keyed_->key, &context, data.data(), data.data(), data.size(), nonce.data(), aad.data(),
               aad.size(), tag.data(), tag.size());
}

void MultiBufferGcm::open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag) const {
  gcm_context_data context;
  keyed_->open(&keyed_->key, &context, data.data(), data.data(), data.size(), nonce.data(), aad.data(),
               aad.size(), tag.data(), tag.size());
}

// ---- Ciphers

namespace {

// A key whose schedule lies behind it, in the same allocation: so long as its algorithm needs, of 100,000
// SAs.
struct alignas(16) Scheduled {
  explicit Scheduled(std::size_t bytes) : bytes_(static_cast<std::uint16_t>(bytes)) {
    std::fill_n(schedule(), bytes, std::uint8_t{0});
  }
  Scheduled(const Scheduled&) = delete;
  Scheduled& operator=(const Scheduled&) = delete;
  ~Scheduled() { OPENSSL_cleanse(schedule(), bytes_); }
  // Aligned to 16 bytes, as the library wants it.
  [[nodiscard]] std::uint8_t* schedule() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  [[nodiscard]] const std::uint8_t* schedule() const {
    return reinterpret_cast<const std::uint8_t*>(this + 1);
  }

  struct Behind {
    std::size_t bytes;
  };
  static void* operator new(std::size_t own, Behind behind) {
    static_assert(alignof(Scheduled) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return ::operator new(own + behind.bytes);
  }
  static void operator delete(void* keyed, Behind) { ::operator delete(keyed); }
  static void operator delete(void* keyed) { ::operator delete(keyed); }

 private:
  std::uint16_t bytes_;
};
template <typename Keyed, typename... Arguments>
std::unique_ptr<Keyed> scheduled(std::size_t bytes, Arguments... arguments) {
  static_assert(sizeof(Keyed) == sizeof(Scheduled));  // its schedule is behind all of it
  return std::unique_ptr<Keyed>(new (Scheduled::Behind{bytes}) Keyed(bytes, arguments...));
}

struct CipherKind {
  IMB_CIPHER_MODE mode;
  IMB_KEY_SIZE_BYTES key;
  std::size_t iv;
  bool by_burst;
};
// In the order of CipherLane.
constexpr std::array<CipherKind, kCipherLanes> kCiphers{{
    {IMB_CIPHER_CBC, IMB_KEY_128_BYTES, 16, true},
    {IMB_CIPHER_CBC, IMB_KEY_192_BYTES, 16, true},
    {IMB_CIPHER_CBC, IMB_KEY_256_BYTES, 16, true},
    {IMB_CIPHER_CNTR, IMB_KEY_128_BYTES, 12, true},
    {IMB_CIPHER_CNTR, IMB_KEY_192_BYTES, 12, true},
    {IMB_CIPHER_CNTR, IMB_KEY_256_BYTES, 12, true},
    {IMB_CIPHER_DES3, IMB_KEY_192_BYTES, 8, false},
    {IMB_CIPHER_DES, static_cast<IMB_KEY_SIZE_BYTES>(8), 8, false},
}};
constexpr std::size_t kDesSchedule = 16 * sizeof(std::uint64_t);

}  // namespace

// Its schedule: AES's round keys for the direction; DES's of each key, and behind 3DES's the pointers to
// them, which are what a job takes.
struct MultiBufferCipher::Keyed : Scheduled {
  CipherLane lane{};
  CryptDirection direction{};
  Keyed(std::size_t bytes, CipherLane its_lane, CryptDirection its_direction)
      : Scheduled(bytes), lane(its_lane), direction(its_direction) {}
  [[nodiscard]] const void* key() const {
    return schedule() + (lane == CipherLane::des3 ? 3 * kDesSchedule : 0);
  }
};

MultiBufferCipher MultiBufferCipher::create(CipherLane lane, ByteView key, CryptDirection direction) {
  MultiBufferCipher made;
  const CipherKind& kind = kCiphers.at(static_cast<std::size_t>(lane));
  const bool des = kind.mode == IMB_CIPHER_DES3 || kind.mode == IMB_CIPHER_DES;
  const MultiBufferLibrary& library = manager().library;
  if (!library.usable || (des && !library.des) || key.size() != static_cast<std::size_t>(kind.key)) {
    return made;
  }
  IMB_MGR* const functions = manager().manager.get();
  std::unique_ptr<Keyed> keyed;
  if (des) {
    const std::size_t keys = key.size() / 8;
    std::array<const void*, 3> pointers{};
    keyed = scheduled<Keyed>(keys * kDesSchedule + sizeof(pointers), lane, direction);
    for (std::size_t i = 0; i < keys; ++i) {
      std::uint8_t* const one = keyed->schedule() + i * kDesSchedule;
      (void)functions->des_key_sched(reinterpret_cast<std::uint64_t*>(one), key.data() + 8 * i);
      pointers.at(i) = one;
    }
    std::memcpy(keyed->schedule() + keys * kDesSchedule, pointers.data(), sizeof(pointers));
  } else {
    alignas(16) std::array<std::uint8_t, std::size_t{16} * 15> other{};
    keyed = scheduled<Keyed>(16 * (key.size() / 4 + 7), lane, direction);  // the rounds, and one
    const bool encrypt = direction == CryptDirection::encrypt || kind.mode == IMB_CIPHER_CNTR;
    const auto expand = key.size() == 16   ? functions->keyexp_128
                        : key.size() == 24 ? functions->keyexp_192
                                           : functions->keyexp_256;
    expand(key.data(), encrypt ? keyed->schedule() : other.data(),
           encrypt ? other.data() : keyed->schedule());
    OPENSSL_cleanse(other.data(), other.size());
  }
  made.keyed_ = std::move(keyed);
  return made;
}

MultiBufferCipher::MultiBufferCipher() noexcept = default;
MultiBufferCipher::MultiBufferCipher(MultiBufferCipher&&) noexcept = default;
MultiBufferCipher& MultiBufferCipher::operator=(MultiBufferCipher&&) noexcept = default;
MultiBufferCipher::~MultiBufferCipher() = default;

CipherLane MultiBufferCipher::lane() const {
  return keyed_->lane;
}

bool MultiBufferCipher::run(std::span<const Job> jobs) {
  if (jobs.empty()) return true;
  ThreadManagers& own = this_thread();
  if (!own.usable || !lengths_good(jobs)) return false;
  const Keyed& first = *jobs.front().cipher->keyed_;
  const CipherKind& kind = kCiphers.at(static_cast<std::size_t>(first.lane));
  const auto direction = first.direction == CryptDirection::encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  const auto fill = [&](IMB_JOB& job, const Job& asked) {
    job.src = asked.data.data();
    job.dst = asked.data.data();
    job.cipher_start_src_offset_in_bytes = 0;
    job.msg_len_to_cipher_in_bytes = asked.data.size();
    job.iv = asked.iv;
    job.iv_len_in_bytes = kind.iv;
    job.enc_keys = asked.cipher->keyed_->key();
    job.dec_keys = asked.cipher->keyed_->key();
    job.key_len_in_bytes = static_cast<std::uint64_t>(kind.key);
    if (kind.by_burst) return;
    job.cipher_mode = kind.mode;
    job.cipher_direction = direction;
    job.hash_alg = IMB_AUTH_NULL;
    job.chain_order = IMB_ORDER_CIPHER_HASH;
  };
  while (!jobs.empty()) {
    const auto now = jobs.first(std::min(jobs.size(), kAtOnce));
    const auto fill_now = [&](IMB_JOB& job, std::size_t i) { fill(job, now[i]); };
    const bool done = kind.by_burst
                          ? run_burst(own, now.size(), fill_now,
                                      [&](IMB_JOB* burst, std::uint32_t count) {
                                        return IMB_SUBMIT_CIPHER_BURST_NOCHECK(
                                            own.bursts.get(), burst, count, kind.mode, direction, kind.key);
                                      })
                          : run_jobs(own, now.size(), fill_now);
    if (!done) return false;
    jobs = jobs.subspan(now.size());
  }
  return true;
}

// ---- Tags

namespace {

struct TagKind {
  IMB_HASH_ALG algorithm;
  hash_one_block_t IMB_MGR::*one_block;
  std::size_t block;
  std::size_t tag;    // whole; XCBC gives what travels, and no more
  std::size_t state;  // of the hash, in 16 bytes; XCBC: of K1's schedule
  bool by_burst;
};
// In the order of TagLane.
constexpr std::array<TagKind, kTagLanes> kTags{{
    {IMB_AUTH_MD5, &IMB_MGR::md5_one_block, 64, 16, 16, false},
    {IMB_AUTH_HMAC_SHA_1, &IMB_MGR::sha1_one_block, 64, 20, 32, true},
    {IMB_AUTH_HMAC_SHA_256, &IMB_MGR::sha256_one_block, 64, 32, 32, true},
    {IMB_AUTH_HMAC_SHA_384, &IMB_MGR::sha384_one_block, 128, 48, 64, true},
    {IMB_AUTH_HMAC_SHA_512, &IMB_MGR::sha512_one_block, 128, 64, 64, true},
    {IMB_AUTH_AES_XCBC, nullptr, 16, 12, std::size_t{16} * 11, false},
}};

}  // namespace

// Its schedule: HMAC: the hash's state behind the block of ipad, and of opad. XCBC: K1's schedule, K2, K3.
struct MultiBufferTag::Keyed : Scheduled {
  TagLane lane{};
  Keyed(std::size_t bytes, TagLane its_lane) : Scheduled(bytes), lane(its_lane) {}
};

MultiBufferTag MultiBufferTag::create(TagLane lane, ByteView key) {
  MultiBufferTag made;
  const TagKind& kind = kTags.at(static_cast<std::size_t>(lane));
  const bool hmac = kind.one_block != nullptr;
  if (!manager().library.usable || (hmac ? key.size() > kind.block : key.size() != kind.block)) return made;
  IMB_MGR* const functions = manager().manager.get();
  auto keyed = scheduled<Keyed>(hmac ? 2 * kind.state : kind.state + 2 * kind.block, lane);
  std::uint8_t* const inner = keyed->schedule();
  std::uint8_t* const outer = inner + kind.state;
  if (hmac) {
    // RFC 2104 section 2: the key, padded with zeros to a block, under ipad and under opad.
    std::array<std::uint8_t, 128> block{};
    const auto hash_under = [&](std::uint8_t pad, void* state) {
      block.fill(pad);
      for (std::size_t i = 0; i < key.size(); ++i) block.at(i) ^= key[i];
      (functions->*kind.one_block)(block.data(), state);
    };
    hash_under(0x36, inner);
    hash_under(0x5c, outer);
    OPENSSL_cleanse(block.data(), block.size());
  } else {
    functions->xcbc_keyexp(key.data(), inner, outer, outer + kind.block);
  }
  made.keyed_ = std::move(keyed);
  return made;
}

MultiBufferTag::MultiBufferTag() noexcept = default;
MultiBufferTag::MultiBufferTag(MultiBufferTag&&) noexcept = default;
MultiBufferTag& MultiBufferTag::operator=(MultiBufferTag&&) noexcept = default;
MultiBufferTag::~MultiBufferTag() = default;

TagLane MultiBufferTag::lane() const {
  return keyed_->lane;
}

bool MultiBufferTag::run(std::span<const Job> jobs) {
  if (jobs.empty()) return true;
  ThreadManagers& own = this_thread();
  if (!own.usable || !lengths_good(jobs)) return false;
  const TagKind& kind = kTags.at(static_cast<std::size_t>(jobs.front().mac->keyed_->lane));
  const auto fill = [&](IMB_JOB& job, const Job& asked) {
    const std::uint8_t* const inner = asked.mac->keyed_->schedule();
    const std::uint8_t* const outer = inner + kind.state;
    job.src = asked.data.data();
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = asked.data.size();
    job.auth_tag_output = asked.tag;
    job.auth_tag_output_len_in_bytes = kind.tag;
    if (kind.one_block != nullptr) {
      job.u.HMAC._hashed_auth_key_xor_ipad = inner;
      job.u.HMAC._hashed_auth_key_xor_opad = outer;
    } else {
      job.u.XCBC._k1_expanded = reinterpret_cast<const std::uint32_t*>(inner);
      job.u.XCBC._k2 = outer;
      job.u.XCBC._k3 = outer + kind.block;
    }
    if (kind.by_burst) return;
    job.cipher_mode = IMB_CIPHER_NULL;
    job.cipher_direction = IMB_DIR_ENCRYPT;
    job.hash_alg = kind.algorithm;
    job.chain_order = IMB_ORDER_HASH_CIPHER;
  };
  while (!jobs.empty()) {
    const auto now = jobs.first(std::min(jobs.size(), kAtOnce));
    const auto fill_now = [&](IMB_JOB& job, std::size_t i) { fill(job, now[i]); };
    const bool done = kind.by_burst ? run_burst(own, now.size(), fill_now,
                                                [&](IMB_JOB* burst, std::uint32_t count) {
                                                  return IMB_SUBMIT_HASH_BURST_NOCHECK(
                                                      own.bursts.get(), burst, count, kind.algorithm);
                                                })
                                    : run_jobs(own, now.size(), fill_now);
    if (!done) return false;
    jobs = jobs.subspan(now.size());
  }
  return true;
}

}  // namespace oakgate::soft
