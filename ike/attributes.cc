#include "ike/attributes.h"

#include <algorithm>

namespace oakgate::ike {

namespace {

constexpr std::uint64_t kLongestLife = 0xffff'ffff;  // what a four-byte attribute can say
constexpr Seconds kUnsaidLife{28800};                // RFC 2407 section 4.5

}  // namespace

std::optional<std::uint64_t> find_attribute(const std::vector<wire::Attribute>& attributes,
                                            std::uint16_t type) {
  for (const wire::Attribute& attribute : attributes) {
    if (attribute.type == type) return attribute.number();
  }
  return std::nullopt;
}

OfferedLife offered_life(const std::vector<wire::Attribute>& attributes, std::uint16_t life_type,
                         std::uint16_t life_duration) {
  OfferedLife life;
  std::uint64_t unit = 0;
  for (const wire::Attribute& attribute : attributes) {
    if (attribute.type == life_type) unit = attribute.number().value_or(0);
    if (attribute.type != life_duration) continue;
    const std::uint64_t value = std::min(attribute.number().value_or(kLongestLife), kLongestLife);
    // A life of zero would end at once; peers that send it mean "no limit of mine".
    if (value == 0) continue;
    if (unit == wire::kLifeSeconds) life.time = Seconds(static_cast<std::int64_t>(value));
    if (unit == wire::kLifeKilobytes) life.kilobytes = Kilobytes{value};
  }
  return life;
}

void add_life(std::vector<wire::Attribute>& attributes, std::uint16_t life_type, std::uint16_t life_duration,
              std::uint16_t unit, std::uint64_t value) {
  attributes.push_back(wire::Attribute::short_form(life_type, unit));
  if (value <= 0xffff) {
    attributes.push_back(wire::Attribute::short_form(life_duration, static_cast<std::uint16_t>(value)));
  } else {
    const auto clamped = static_cast<std::uint32_t>(std::min(value, kLongestLife));
    attributes.push_back(wire::Attribute::long_form(life_duration, clamped));
  }
}

Lifetime smaller_life(const Lifetime& ours, const OfferedLife& theirs) {
  Lifetime life = ours;
  if (theirs.time) life.time = std::min(life.time, *theirs.time);
  if (theirs.kilobytes && (life.kilobytes.value == 0 || *theirs.kilobytes < life.kilobytes)) {
    life.kilobytes = *theirs.kilobytes;
  }
  return life;
}

OfferedLife shortened_life(const Lifetime& ours, const OfferedLife& theirs) {
  OfferedLife life;
  if (ours.time < theirs.time.value_or(kUnsaidLife)) life.time = ours.time;
  if (ours.kilobytes.value != 0 && (!theirs.kilobytes || ours.kilobytes < *theirs.kilobytes))
    life.kilobytes = ours.kilobytes;
  return life;
}

}  // namespace oakgate::ike
