// What the library's version 1.3 asks for, and where it lies: bursts are synchronous and must never meet jobs
// that are still under way, so jobs have a manager of their own and are drained before a call returns;
// IMB_QUEUE_SIZE and GET_NEXT_BURST are wrong once the ring has wrapped, so neither is used; tags come whole
// (or cut as the RFCs of IPsec do), so they are always asked for whole.
#include "xfrm/soft/multi_buffer.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
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
constexpr std::size_t kDesSchedule = 16;  // 64-bit words

}  // namespace

struct MultiBufferCipher::Keyed {
  alignas(16) std::array<std::uint8_t, std::size_t{16} * 15> aes{};  // for the direction
  std::array<std::array<std::uint64_t, kDesSchedule>, 3> des{};
  std::array<const void*, 3> des_pointers{};
  const void* key = nullptr;  // as a job takes it
  CipherLane lane{};
  CryptDirection direction{};
  ~Keyed() {
    OPENSSL_cleanse(aes.data(), aes.size());
    OPENSSL_cleanse(des.data(), sizeof(des));
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
  auto keyed = std::make_unique<Keyed>();
  keyed->lane = lane;
  keyed->direction = direction;
  if (des) {
    for (std::size_t i = 0; i < key.size() / 8; ++i) {
      (void)functions->des_key_sched(keyed->des.at(i).data(), key.data() + 8 * i);
      keyed->des_pointers.at(i) = keyed->des.at(i).data();
    }
    keyed->key = kind.mode == IMB_CIPHER_DES3 ? static_cast<const void*>(keyed->des_pointers.data())
                                              : keyed->des.front().data();
  } else {
    alignas(16) std::array<std::uint8_t, std::size_t{16} * 15> other{};
    const bool encrypt = direction == CryptDirection::encrypt || kind.mode == IMB_CIPHER_CNTR;
    const auto expand = key.size() == 16   ? functions->keyexp_128
                        : key.size() == 24 ? functions->keyexp_192
                                           : functions->keyexp_256;
    expand(key.data(), encrypt ? keyed->aes.data() : other.data(),
           encrypt ? other.data() : keyed->aes.data());
    OPENSSL_cleanse(other.data(), other.size());
    keyed->key = keyed->aes.data();
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
    job.enc_keys = asked.cipher->keyed_->key;
    job.dec_keys = asked.cipher->keyed_->key;
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
  std::size_t tag;  // whole; XCBC gives what travels, and no more
  bool by_burst;
};
// In the order of TagLane.
constexpr std::array<TagKind, kTagLanes> kTags{{
    {IMB_AUTH_MD5, &IMB_MGR::md5_one_block, 64, 16, false},
    {IMB_AUTH_HMAC_SHA_1, &IMB_MGR::sha1_one_block, 64, 20, true},
    {IMB_AUTH_HMAC_SHA_256, &IMB_MGR::sha256_one_block, 64, 32, true},
    {IMB_AUTH_HMAC_SHA_384, &IMB_MGR::sha384_one_block, 128, 48, true},
    {IMB_AUTH_HMAC_SHA_512, &IMB_MGR::sha512_one_block, 128, 64, true},
    {IMB_AUTH_AES_XCBC, nullptr, 16, 12, false},
}};

}  // namespace

struct MultiBufferTag::Keyed {
  // HMAC: the hash's state behind the block of ipad, and of opad. XCBC: K1's schedule, K2, K3.
  alignas(16) std::array<std::uint8_t, std::size_t{16} * 11> inner{};
  alignas(16) std::array<std::uint8_t, kMaxTag> outer{};
  alignas(16) std::array<std::uint8_t, 16> third{};
  TagLane lane{};
  ~Keyed() {
    OPENSSL_cleanse(inner.data(), inner.size());
    OPENSSL_cleanse(outer.data(), outer.size());
    OPENSSL_cleanse(third.data(), third.size());
  }
};

MultiBufferTag MultiBufferTag::create(TagLane lane, ByteView key) {
  MultiBufferTag made;
  const TagKind& kind = kTags.at(static_cast<std::size_t>(lane));
  const bool hmac = kind.one_block != nullptr;
  if (!manager().library.usable || (hmac ? key.size() > kind.block : key.size() != kind.block)) return made;
  IMB_MGR* const functions = manager().manager.get();
  auto keyed = std::make_unique<Keyed>();
  keyed->lane = lane;
  if (hmac) {
    // RFC 2104 section 2: the key, padded with zeros to a block, under ipad and under opad.
    std::array<std::uint8_t, 128> block{};
    const auto hash_under = [&](std::uint8_t pad, void* state) {
      block.fill(pad);
      for (std::size_t i = 0; i < key.size(); ++i) block.at(i) ^= key[i];
      (functions->*kind.one_block)(block.data(), state);
    };
    hash_under(0x36, keyed->inner.data());
    hash_under(0x5c, keyed->outer.data());
    OPENSSL_cleanse(block.data(), block.size());
  } else {
    functions->xcbc_keyexp(key.data(), keyed->inner.data(), keyed->outer.data(), keyed->third.data());
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
    const Keyed& key = *asked.mac->keyed_;
    job.src = asked.data.data();
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = asked.data.size();
    job.auth_tag_output = asked.tag;
    job.auth_tag_output_len_in_bytes = kind.tag;
    if (kind.one_block != nullptr) {
      job.u.HMAC._hashed_auth_key_xor_ipad = key.inner.data();
      job.u.HMAC._hashed_auth_key_xor_opad = key.outer.data();
    } else {
      job.u.XCBC._k1_expanded = reinterpret_cast<const std::uint32_t*>(key.inner.data());
      job.u.XCBC._k2 = key.outer.data();
      job.u.XCBC._k3 = key.third.data();
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
