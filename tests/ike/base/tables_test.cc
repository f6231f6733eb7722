#include <gtest/gtest.h>

#include "ike/base/notify_types.h"
#include "ike/base/vendor_ids.h"

namespace oakgate {
namespace {

TEST(VendorIds, EachRowStandsAtItsEnumeratorAndFindsItself) {
  std::size_t index = 0;
  for (const VendorIdInfo& row : vendor_id_table()) {
    EXPECT_EQ(static_cast<std::size_t>(row.id), index++);
    const auto body = from_hex(row.hex);
    ASSERT_TRUE(body) << row.name;
    ASSERT_GE(body->size(), row.compare_bytes);
    EXPECT_EQ(find_vendor_id(*body), row.id) << row.name;
    EXPECT_FALSE(find_vendor_id(ByteView(*body).first(row.compare_bytes - 1U))) << row.name;
  }
}

TEST(VendorIds, VersionsBehindTheComparedBytesDoNotMatter) {
  EXPECT_EQ(find_vendor_id(*from_hex("12f5f28c457168a9702d9fe274cc0204")), VendorId::unity);
  EXPECT_EQ(find_vendor_id(*from_hex("4048b7d56ebce88525e7de7f00d6c2d3c0000000")), VendorId::fragmentation);
  EXPECT_FALSE(find_vendor_id({}));
}

TEST(NotifyTypes, HaveTheRfcsNames) {
  EXPECT_EQ(notify_name(NotifyType::no_proposal_chosen), "NO-PROPOSAL-CHOSEN");
  EXPECT_EQ(notify_name(NotifyType{9999}), "notify type");
  EXPECT_TRUE(is_error(NotifyType::unequal_payload_lengths));
  EXPECT_FALSE(is_error(NotifyType::connected));
}

}  // namespace
}  // namespace oakgate
