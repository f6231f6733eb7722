// What seals and opens packets in this process, for operators: `oakgate show crypto engine configuration`.
#pragma once

#include <string>
#include <vector>

namespace oakgate::soft {

struct CryptoEngine {
  std::string algorithms;  // "AES-GCM, AES-GMAC"
  std::string name;        // "ipsec-mb 1.3.0 (AVX512)"
  std::string why;         // in a sentence
};

[[nodiscard]] std::vector<CryptoEngine> crypto_engines();

}  // namespace oakgate::soft
