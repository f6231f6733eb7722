#include "ike/base/nat_forms.h"

#include <algorithm>
#include <array>

namespace oakgate {

namespace {

constexpr bool kFloats = true;
constexpr bool kStays = false;

// draft-ietf-ipsec-nat-t-ike-00 to -03, sections 3.1, 3.2, 4.1 and 4.2 (-02 and -03: 5.1 and 5.2); port 4500
// came with -02. Draft 02 gives the MD5 of its name with a newline behind it; peers send both.
constexpr auto kTable = std::to_array<NatForm>({
    {NatTraversal::rfc, "rfc", VendorId::nat_t_rfc3947, VendorId::nat_t_rfc3947, kFloats, 20, 21, 3, 4},
    {NatTraversal::draft_03, "draft-03", VendorId::nat_t_draft_03, VendorId::nat_t_draft_03, kFloats, 130,
     131, 61443, 61444},
    {NatTraversal::draft_02, "draft-02", VendorId::nat_t_draft_02_newline, VendorId::nat_t_draft_02, kFloats,
     130, 131, 61443, 61444},
    {NatTraversal::draft_01, "draft-01", VendorId::nat_t_draft_01, VendorId::nat_t_draft_01, kStays, 130, 131,
     61443, 61444},
    {NatTraversal::draft_00, "draft-00", VendorId::nat_t_draft_00, VendorId::nat_t_draft_00, kStays, 130, 131,
     61443, 61444},
});

}  // namespace

std::span<const NatForm> nat_form_table() {
  return kTable;
}

const NatForm* find_nat_form(NatTraversal id) {
  const auto* row =
      std::find_if(kTable.begin(), kTable.end(), [id](const NatForm& form) { return form.id == id; });
  return row == kTable.end() ? nullptr : row;
}

}  // namespace oakgate
