// The data planes' contract on the kernel plane. Needs a kernel with ESP: tests/kernel/data_plane.sh runs it
// inside a virtual machine.

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate::test {

Result<std::unique_ptr<DataPlane>> make_plane() {
  return make_kernel_data_plane({});
}

}  // namespace oakgate::test
