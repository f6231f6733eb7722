#include "xfrm/soft/crypto_batch.h"

namespace oakgate::soft {

void seal(std::span<SealRequest> requests) {
  for (SealRequest& request : requests) {
    const ByteView iv(request.iv.data(), request.sealer->layout().iv);
    request.sealed =
        request.sealer->seal(request.packet, request.header, iv, request.inner_size, request.next_header);
  }
}

void open(std::span<OpenRequest> requests) {
  for (OpenRequest& request : requests) request.opened = request.opener->open(request.packet);
}

void protect(std::span<AhRequest> requests) {
  for (AhRequest& request : requests) {
    const bool made = request.ah->protect(request.packet, request.ip_header, request.header);
    request.verdict = made ? AhVerdict::ok : AhVerdict::failed;
  }
}

void verify(std::span<AhRequest> requests) {
  for (AhRequest& request : requests) {
    request.verdict = request.ah->verify(request.packet, request.ip_header);
  }
}

}  // namespace oakgate::soft
