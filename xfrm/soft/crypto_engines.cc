#include "xfrm/soft/crypto_engines.h"

#include <algorithm>

#include "xfrm/soft/crypto_choice.h"

namespace oakgate::soft {

std::vector<CryptoEngine> crypto_engines() {
  std::vector<CryptoEngine> engines;
  for (const CryptoAlgorithmInfo& row : crypto_algorithms()) {
    CryptoChoice choice = crypto_choice(row.id);
    // What is done by the same for the same reason stands in one entry.
    const auto same = std::find_if(engines.begin(), engines.end(), [&](const CryptoEngine& engine) {
      return engine.name == choice.name && engine.why == choice.why;
    });
    if (same != engines.end()) {
      same->algorithms += ", " + std::string(row.name);
    } else {
      engines.push_back({std::string(row.name), std::move(choice.name), std::move(choice.why)});
    }
  }
  return engines;
}

}  // namespace oakgate::soft
