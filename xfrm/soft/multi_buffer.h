// ipsec-mb, the multi-buffer library, where the build and the CPU have it; it is known to multi_buffer.cc
// alone. Without it (multi_buffer_absent.cc) nothing is usable and the reason says so.
//
// Keys are secret, copied, and wiped at the end. They may be used by any one thread at a time; what the
// library keeps between calls is each thread's own, made when the thread first needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ike/base/bytes.h"

namespace oakgate::soft {

enum class CryptDirection : int { decrypt = 0, encrypt = 1 };

struct MultiBufferLibrary {
  bool usable = false;
  bool des = false;  // DES of many packets at once is for AVX-512 alone
  std::string name;  // "ipsec-mb 1.3.0 (AVX512)"
  std::string why;   // it is not usable
};
// Found out once; safe from any thread.
[[nodiscard]] const MultiBufferLibrary& multi_buffer_library();

// AES-GCM by the library's direct calls, which keep nothing between packets. The lengths are the caller's to
// check: nonces of 12 bytes, tags of 8, 12 or 16.
class MultiBufferGcm {
 public:
  // `key` has 16, 24 or 32 bytes. Null: the library is not usable.
  [[nodiscard]] static MultiBufferGcm create(ByteView key);
  MultiBufferGcm() noexcept;
  MultiBufferGcm(MultiBufferGcm&&) noexcept;
  MultiBufferGcm& operator=(MultiBufferGcm&&) noexcept;
  ~MultiBufferGcm();
  explicit operator bool() const { return keyed_ != nullptr; }

  // Brings the key into the cache ahead of a packet of so many bytes.
  void prefetch(std::size_t bytes) const;
  void seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, std::span<std::uint8_t> tag) const;
  // Decrypts, and writes the tag that ought to be there: whether it is, the caller compares.
  void open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, std::span<std::uint8_t> tag) const;

 private:
  struct Keyed;
  std::unique_ptr<Keyed> keyed_;
};

// What may be done together: one cipher, one length of keys, one direction.
enum class CipherLane : std::uint8_t { cbc_128, cbc_192, cbc_256, ctr_128, ctr_192, ctr_256, des3, des };
inline constexpr std::size_t kCipherLanes = 8;
enum class TagLane : std::uint8_t { md5, sha1, sha256, sha384, sha512, xcbc };
inline constexpr std::size_t kTagLanes = 6;
inline constexpr std::size_t kMaxTag = 64;  // of any, whole
// More no IP packet holds; the library counts a packet's bytes in 16 bits.
inline constexpr std::size_t kMaxMultiBuffer = 65534;

// One key of a cipher that does not authenticate, for one direction.
class MultiBufferCipher {
 public:
  struct Job {
    const MultiBufferCipher* cipher = nullptr;
    const std::uint8_t* iv = nullptr;  // CBC: a block. CTR: the 12 bytes before the counter (RFC 3686)
    std::span<std::uint8_t> data;      // in place; CBC: whole blocks
  };
  // Null: not usable, or a key of another length than the lane's.
  [[nodiscard]] static MultiBufferCipher create(CipherLane lane, ByteView key, CryptDirection direction);
  // All `jobs` are of one lane and direction. False: one has no data or more than kMaxMultiBuffer, and
  // nothing is done; or the library failed, and what became of the data is unknown.
  [[nodiscard]] static bool run(std::span<const Job> jobs);
  MultiBufferCipher() noexcept;
  MultiBufferCipher(MultiBufferCipher&&) noexcept;
  MultiBufferCipher& operator=(MultiBufferCipher&&) noexcept;
  ~MultiBufferCipher();
  explicit operator bool() const { return keyed_ != nullptr; }
  [[nodiscard]] CipherLane lane() const;  // not of null

 private:
  struct Keyed;
  std::unique_ptr<Keyed> keyed_;
};

// One key of HMAC (RFC 2104) or AES-XCBC-MAC (RFC 3566).
class MultiBufferTag {
 public:
  struct Job {
    const MultiBufferTag* mac = nullptr;
    ByteView data;
    std::uint8_t* tag = nullptr;  // room for kMaxTag; gets all of it (XCBC: its first 12 bytes)
  };
  // Null: not usable, or a key longer than the hash's block (XCBC: not of 16 bytes).
  [[nodiscard]] static MultiBufferTag create(TagLane lane, ByteView key);
  // As MultiBufferCipher's.
  [[nodiscard]] static bool run(std::span<const Job> jobs);
  MultiBufferTag() noexcept;
  MultiBufferTag(MultiBufferTag&&) noexcept;
  MultiBufferTag& operator=(MultiBufferTag&&) noexcept;
  ~MultiBufferTag();
  explicit operator bool() const { return keyed_ != nullptr; }
  [[nodiscard]] TagLane lane() const;  // not of null

 private:
  struct Keyed;
  std::unique_ptr<Keyed> keyed_;
};

}  // namespace oakgate::soft
