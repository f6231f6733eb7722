// Wireshark's tables of keys, as it keeps them in its configuration folder: `ikev1_decryption_table`, the key
// of each ISAKMP SA by its initiator's cookie, and `esp_sa`, those of ESP SAs. Lines out, text in. Secret.
//
// Lines that begin with `#` are comments to Wireshark. One kind is ours: a capture that begins when phase 1
// is over lacks what the IVs of later exchanges grow from, so that stands beside the key:
//   # phase 1 ended: COOKIE-I COOKIE-R CIPHER HASH LAST-BLOCK
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/decryption_keys.h"

namespace oakgate::capture {

inline constexpr std::string_view kIkeTable = "ikev1_decryption_table";
inline constexpr std::string_view kEspTable = "esp_sa";
// Bounds of a table that is read: more is refused.
inline constexpr std::size_t kMaxTableBytes = 16U << 20;
inline constexpr std::size_t kMaxTableLine = 2048;
inline constexpr std::size_t kMaxTableRows = 65'536;

// Of one ESP SA. Addresses and SPI are absent where a table has `*`, which stands for all.
struct EspKeys {
  std::optional<IpAddress> source;
  std::optional<IpAddress> destination;
  std::optional<Spi> spi;
  EspCipher cipher{};
  std::optional<Integrity> integrity;  // none: of an AEAD, or AH covers it
  std::uint8_t unchecked_icv = 0;      // bytes of an ICV that is not checked, in place of `integrity`
  SecretBytes encryption_key;          // as SaSpec has it
  SecretBytes integrity_key;
};

struct KeyTables {
  struct IkeKey {
    Cookie initiator{};
    SecretBytes key;
  };
  // Not secret.
  struct Phase1End {
    CookiePair cookies;
    IkeCipher cipher{};
    IkeHash hash{};
    Bytes last_block;
  };
  std::vector<IkeKey> ike;
  std::vector<Phase1End> ended;
  std::vector<EspKeys> esp;
};

// With their line breaks; of the second kind two lines if phase 1 is over.
// None: Wireshark has no name for the SA's algorithms.
[[nodiscard]] std::optional<SecretBytes> esp_line(const EspKeys& keys);
[[nodiscard]] SecretBytes ike_lines(const ike::DecryptionKey& key);

// Appends what `text`, of either table, holds. ErrorCode::malformed names `file`, the line, and what was
// expected; never what stands there.
[[nodiscard]] Result<void> read_table(std::string_view text, std::string_view file, KeyTables& tables);

}  // namespace oakgate::capture
