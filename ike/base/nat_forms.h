// The forms of NAT traversal: RFC 3947 and the drafts 00 to 03 before it, which old peers speak. The one
// table of how they differ; drafts 04 to 08 announced themselves by other vendor IDs and are not spoken.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ike/base/vendor_ids.h"

namespace oakgate {

// Of a peer: the one form that is offered and answered.
enum class NatTraversal : std::uint8_t { off, rfc, draft_03, draft_02, draft_01, draft_00 };

struct NatForm {
  NatTraversal id;
  std::string_view word;  // in the configuration
  VendorId announced;     // the vendor ID that we send
  VendorId also;          // and another one that means the same when it comes; or the same once more
  // From message 5 on (Aggressive Mode: 3) on port 4500, ESP beside IKE with its 4-byte non-ESP marker.
  // Drafts 00 and 01 stay on port 500: there ESP, not IKE, has a marker, of 8 zero bytes where IKE has its
  // cookie.
  bool floats;
  std::uint8_t nat_d;        // payload type: RFC 3947 section 3.2
  std::uint8_t nat_oa;       // payload type: RFC 3947 section 5.2
  std::uint16_t udp_tunnel;  // encapsulation modes: RFC 3947 section 5.1
  std::uint16_t udp_transport;
};

// Every form, without `off`; the preferred one first.
[[nodiscard]] std::span<const NatForm> nat_form_table();
// Null for `off`.
[[nodiscard]] const NatForm* find_nat_form(NatTraversal id);

}  // namespace oakgate
