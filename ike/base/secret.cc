#include "ike/base/secret.h"

#include <algorithm>
#include <cstring>

namespace oakgate {

void wipe(void* data, std::size_t size) {
  if (size != 0) explicit_bzero(data, size);
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe(data_.data(), data_.size());
    data_ = std::move(other.data_);
    other.data_.clear();
  }
  return *this;
}

SecretBytes repeated(ByteView key, std::size_t times) {
  SecretBytes out(key.size() * times);
  auto at = out.mutable_view().begin();
  for (std::size_t i = 0; i < times; ++i) at = std::copy(key.begin(), key.end(), at);
  return out;
}

}  // namespace oakgate
