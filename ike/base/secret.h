// SecretBytes: keys, shared secrets, pre-shared keys. Move-only, wiped when it ends, impossible to print:
// there is no stream operator, no fmt formatter and no hex form. Equality is constant-time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "ike/base/bytes.h"

namespace oakgate {

// Overwrites memory in a way the compiler may not remove.
void wipe(void* data, std::size_t size);

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : data_(size) {}
  // Copies; the source stays the caller's to wipe.
  explicit SecretBytes(ByteView source) : data_(source.begin(), source.end()) {}
  // Takes the storage over: nothing is left in `source`.
  explicit SecretBytes(Bytes&& source) : data_(std::move(source)) { source.clear(); }
  SecretBytes(SecretBytes&& other) noexcept : data_(std::move(other.data_)) { other.data_.clear(); }
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(data_.data(), data_.size()); }

  [[nodiscard]] SecretBytes clone() const { return SecretBytes(view()); }
  [[nodiscard]] ByteView view() const { return data_; }
  [[nodiscard]] std::span<std::uint8_t> mutable_view() { return data_; }
  [[nodiscard]] std::size_t size() const { return data_.size(); }
  [[nodiscard]] bool empty() const { return data_.empty(); }
  // The bytes [offset, offset + length) as a secret of their own; the range must lie within size().
  [[nodiscard]] SecretBytes slice(std::size_t offset, std::size_t length) const {
    return SecretBytes(view().subspan(offset, length));
  }
  friend bool operator==(const SecretBytes& a, const SecretBytes& b) {
    return equal_constant_time(a.view(), b.view());
  }

 private:
  Bytes data_;
};

// `key` as often as `times` says, end to end: single DES as OpenSSL's EDE3 takes it.
[[nodiscard]] SecretBytes repeated(ByteView key, std::size_t times);

}  // namespace oakgate
