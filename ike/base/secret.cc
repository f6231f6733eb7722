#include "ike/base/secret.h"

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

}  // namespace oakgate
