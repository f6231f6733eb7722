// What single values of these files mean. Private to conf/swan/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/swan/algorithms.h"
#include "conf/swan/model.h"

namespace oakgate::conf::swan {

[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);
// At commas, blanks and braces; no empty ones.
[[nodiscard]] std::vector<std::string> words_in(std::string_view text);

// "yes", "no" and the like.
[[nodiscard]] std::optional<bool> yes_or_no(std::string_view text);
// "90s", "1h", "86400"; whole seconds above 0.
[[nodiscard]] std::optional<Seconds> seconds(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> number(std::string_view text);

// Our `identity` for one of theirs: "@gw-b" becomes "hostname:gw-b". Their distinguished names begin with
// the country, ours end with it. Nothing: none of ours, or whatever the peer says (`%any`, `%fromcert`).
[[nodiscard]] std::optional<std::string> identity_of(std::string_view text);
// An address, subnet, range, host name or "any"; nothing: none of these.
[[nodiscard]] std::optional<std::string> peer_address(std::string_view text);
// "10.1.0.0/24", "10.1.0.1-10.1.0.9", "10.1.0.0/16[tcp/80]"; without a length it is a host.
[[nodiscard]] std::optional<Selector> selector(std::string_view text);
// "tcp", "6/179", "17/%any", "tcp/http"? only numbers and known names of protocols. False: not understood.
[[nodiscard]] bool add_protocol(Selector& selector, std::string_view text);
// `mark`: "7", "0x7/0xff"; empty: not understood.
[[nodiscard]] std::string mark(std::string_view text);
// A pre-shared key as either program writes it: in quotes, 0x hexadecimal, 0s base64, or bare. Empty: it is
// none.
[[nodiscard]] SecretBytes pre_shared_key(std::string_view text);

// A note about a setting; what is a secret is not shown.
[[nodiscard]] Note note_of(const Setting& setting, std::string why);
[[nodiscard]] Note note_at(int line, std::string_view text, std::string why);

// Proposals to policies and sets, with a note about each word that is none of ours. `fallback`: the groups
// where none is named.
[[nodiscard]] std::vector<IsakmpPolicy> policies_of(const Setting& setting, AuthMethod method,
                                                    std::vector<Note>& notes);
// Fills sets, pfs and esn of `child`.
void take_sets(const Setting& setting, bool ah, Connection& connection, Child& child,
               std::vector<Note>& notes);
// What both programs propose themselves is not in the file; these are taken in its place.
[[nodiscard]] std::vector<IsakmpPolicy> usual_policies(AuthMethod method);
[[nodiscard]] std::vector<TransformSet> usual_sets();

}  // namespace oakgate::conf::swan
