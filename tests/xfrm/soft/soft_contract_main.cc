// The data planes' contract on the software plane. tests/net/soft_plane.sh runs it with three workers
// (OAKGATE_TEST_WORKERS), soft_plane_nftables.sh with one and OAKGATE_TEST_INBOUND_DROP=nftables, as on a
// kernel without XFRM.

#include <cstdlib>
#include <string_view>

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/soft/soft_data_plane.h"

namespace oakgate::test {

Result<std::unique_ptr<DataPlane>> make_plane() {
  SoftConfig config;
  const char* drop = std::getenv("OAKGATE_TEST_INBOUND_DROP");
  if (drop != nullptr && std::string_view(drop) == "nftables") config.inbound_drop = InboundDrop::nftables;
  if (const char* workers = std::getenv("OAKGATE_TEST_WORKERS"); workers != nullptr) {
    config.workers = static_cast<unsigned>(std::strtoul(workers, nullptr, 10));
  }
  return make_soft_data_plane(config);
}

}  // namespace oakgate::test
