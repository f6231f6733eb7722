#include "ike/base/vendor_ids.h"

#include <algorithm>
#include <array>

namespace oakgate {

namespace {

constexpr auto kTable = std::to_array<VendorIdInfo>({
    {VendorId::unity, "Unity", "12f5f28c457168a9702d9fe274cc0100", 14},
    {VendorId::dpd, "DPD", "afcad71368a1f1c96b8696fc77570100", 16},
    {VendorId::xauth, "XAUTH", "09002689dfd6b712", 8},
    {VendorId::fragmentation, "FRAGMENTATION", "4048b7d56ebce88525e7de7f00d6c2d3c0000000", 16},
    {VendorId::vpn3000, "VPN3000", "1f07f70eaa6514d3b0fa96542a500100", 14},
    {VendorId::nat_t_rfc3947, "NAT-T RFC 3947", "4a131c81070358455c5728f20e95452f", 16},
    {VendorId::nat_t_draft_03, "NAT-T draft 03", "7d9419a65310ca6f2c179d9215529d56", 16},
    {VendorId::nat_t_draft_02, "NAT-T draft 02", "cd60464335df21f87cfdb2fc68b6a448", 16},
    {VendorId::nat_t_draft_02_newline, "NAT-T draft 02 (newline)", "90cb80913ebb696e086381b5ec427b1f", 16},
    {VendorId::nat_t_draft_01, "NAT-T draft 01", "16f6ca16e4a4066d83821a0f0aeaa862", 16},
    {VendorId::nat_t_draft_00, "NAT-T draft 00", "4485152d18b6bbcd0be8a8469579ddcc", 16},
});

bool begins_with(ByteView body, const VendorIdInfo& info) {
  const auto known = from_hex(info.hex);
  return known && body.size() >= info.compare_bytes &&
         std::equal(known->begin(), known->begin() + info.compare_bytes, body.begin());
}

}  // namespace

std::span<const VendorIdInfo> vendor_id_table() {
  return kTable;
}

const VendorIdInfo& vendor_id_info(VendorId id) {
  return kTable[static_cast<std::size_t>(id)];
}

std::optional<VendorId> find_vendor_id(ByteView body) {
  for (const VendorIdInfo& info : kTable) {
    if (begins_with(body, info)) return info.id;
  }
  return std::nullopt;
}

}  // namespace oakgate
