// The data planes' contract on the software plane: tests/net/soft_plane.sh runs it.

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/soft/soft_data_plane.h"

namespace oakgate::test {

Result<std::unique_ptr<DataPlane>> make_plane() {
  return make_soft_data_plane();
}

}  // namespace oakgate::test
