// Vendor IDs: the one table of those we send, act on, or name in logs. Unknown ones are ignored, always.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ike/base/bytes.h"

namespace oakgate {

enum class VendorId : std::uint8_t {
  unity,
  dpd,  // RFC 3706 section 5.1
  xauth,
  fragmentation,
  vpn3000,
  nat_t_rfc3947,  // RFC 3947 section 3.1
  nat_t_draft_03,
  nat_t_draft_02,
  nat_t_draft_02_newline,
  nat_t_draft_01,
  nat_t_draft_00,
};

struct VendorIdInfo {
  VendorId id;
  std::string_view name;
  std::string_view hex;        // the body we would send
  std::uint8_t compare_bytes;  // how many leading bytes identify it; longer bodies carry versions
};

[[nodiscard]] std::span<const VendorIdInfo> vendor_id_table();
[[nodiscard]] const VendorIdInfo& vendor_id_info(VendorId id);
// Which known vendor ID a payload's body is, by its leading bytes.
[[nodiscard]] std::optional<VendorId> find_vendor_id(ByteView body);

}  // namespace oakgate
