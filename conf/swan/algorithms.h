// Proposals as strongSwan ("aes128-sha256-modp2048") and libreswan ("aes_gcm_c_256",
// "aes128+aes256-sha1;dh14") write them. Private to conf/swan/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/policy.h"

namespace oakgate::conf::swan {

struct IkeProposal {
  IkeCipher cipher{};
  IkeHash hash{};
  std::optional<DhGroup> group;  // none is named
};
struct EspProposal {
  TransformSet set;  // without a name
  std::optional<DhGroup> group;
};

inline constexpr std::size_t kMaxProposals = 64;  // of one text; the rest is left out, and in `unknown`

template <typename Proposal>
struct Proposals {
  std::vector<Proposal> all;         // every combination, in the order written
  std::vector<std::string> unknown;  // words, or whole proposals, that are nothing of ours
  bool sha256_96 = false;            // HMAC-SHA2-256 cut at 96 bits is asked for
  bool esn = false;
};

[[nodiscard]] Proposals<IkeProposal> read_ike_proposals(std::string_view text);
[[nodiscard]] Proposals<EspProposal> read_esp_proposals(std::string_view text);
[[nodiscard]] Proposals<EspProposal> read_ah_proposals(std::string_view text);
// "modp2048", "dh14", "group14"
[[nodiscard]] std::optional<DhGroup> find_group_word(std::string_view word);

}  // namespace oakgate::conf::swan
