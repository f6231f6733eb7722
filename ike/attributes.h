// What both phases' transforms share: looking attributes up, and life types with their durations, which come
// in pairs (RFC 2407 section 4.5, RFC 2409 Appendix A: "Life Duration ... MUST always follow Life Type").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/policy.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// The value of the first attribute of a type; nothing if it is absent or not a number.
[[nodiscard]] std::optional<std::uint64_t> find_attribute(const std::vector<wire::Attribute>& attributes,
                                                          std::uint16_t type);

struct OfferedLife {
  std::optional<Seconds> time;
  std::optional<Kilobytes> kilobytes;
};
// Values in basic or variable form; more than fits counts as the largest we can hold.
[[nodiscard]] OfferedLife offered_life(const std::vector<wire::Attribute>& attributes,
                                       std::uint16_t life_type, std::uint16_t life_duration);

void add_life(std::vector<wire::Attribute>& attributes, std::uint16_t life_type, std::uint16_t life_duration,
              std::uint16_t unit, std::uint64_t value);

// What of ours a peer does not expect: shorter than it offered, or where it offered nothing. RFC 2407 section
// 4.5: without a life in seconds 28,800 are meant; without one in kilobytes there is no limit.
[[nodiscard]] OfferedLife shortened_life(const Lifetime& ours, const OfferedLife& theirs);

// "A peer's longer life is accepted and the smaller applies."
[[nodiscard]] Lifetime smaller_life(const Lifetime& ours, const OfferedLife& theirs);

}  // namespace oakgate::ike
