// What `debug crypto` tells apart: IOS's parts of the cryptographic subsystem.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oakgate {

enum class Facility : std::uint8_t { isakmp, ipsec, engine, pki };

struct FacilityRow {
  Facility id;
  std::string_view name;  // behind `debug crypto`
  std::string_view ios;   // as IOS calls it when it says that debugging is on
};
inline constexpr std::array kFacilities{
    FacilityRow{Facility::isakmp, "isakmp", "Crypto ISAKMP"},
    FacilityRow{Facility::ipsec, "ipsec", "Crypto IPSEC"},
    FacilityRow{Facility::engine, "engine", "Crypto Engine"},
    FacilityRow{Facility::pki, "pki", "Crypto PKI Trans"},
};

[[nodiscard]] constexpr const FacilityRow& info(Facility id) {
  return kFacilities[static_cast<std::size_t>(id)];
}
[[nodiscard]] constexpr std::string_view to_string(Facility id) {
  return info(id).name;
}
[[nodiscard]] constexpr std::optional<Facility> find_facility(std::string_view name) {
  for (const FacilityRow& row : kFacilities) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}
// "isakmp", "ipsec", ...: for errors.
[[nodiscard]] inline std::string facility_names() {
  std::string names;
  for (const FacilityRow& row : kFacilities) {
    names += (names.empty() ? "\"" : ", \"") + std::string(row.name) + "\"";
  }
  return names;
}

}  // namespace oakgate
