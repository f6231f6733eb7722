// ipsec-mb, the multi-buffer library, where the build and the CPU have it; it is known to multi_buffer.cc
// alone. Without it (multi_buffer_absent.cc) nothing is usable and the reason says so.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "ike/base/bytes.h"

namespace oakgate::soft {

struct MultiBufferLibrary {
  bool usable = false;
  std::string name;  // "ipsec-mb 1.3.0 (AVX512)"
  std::string why;   // it is not usable
};
// Found out once; safe from any thread.
[[nodiscard]] const MultiBufferLibrary& multi_buffer_library();

// AES-GCM by the library's direct calls, which keep nothing between packets. The lengths are the caller's to
// check: nonces of 12 bytes, tags of 8, 12 or 16. The key is secret and wiped at the end. One is not shared
// between threads.
class MultiBufferGcm {
 public:
  // `key` has 16, 24 or 32 bytes. Null: the library is not usable.
  [[nodiscard]] static std::unique_ptr<MultiBufferGcm> create(ByteView key);
  ~MultiBufferGcm();
  MultiBufferGcm(const MultiBufferGcm&) = delete;
  MultiBufferGcm& operator=(const MultiBufferGcm&) = delete;

  void seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, std::span<std::uint8_t> tag);
  // Decrypts, and writes the tag that ought to be there: whether it is, the caller compares.
  void open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, std::span<std::uint8_t> tag);

 private:
  struct Keyed;
  explicit MultiBufferGcm(std::unique_ptr<Keyed> keyed);
  std::unique_ptr<Keyed> keyed_;
};

}  // namespace oakgate::soft
