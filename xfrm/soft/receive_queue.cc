#include "xfrm/soft/receive_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace oakgate::soft {

ReceiveQueue::ReceiveQueue()
    : small_(std::make_unique_for_overwrite<std::uint8_t[]>(kMessages * slot(kSmall))),
      large_(std::make_unique_for_overwrite<std::uint8_t[]>(kMessages * slot(PacketBatch::kMaxPacket))) {}

void ReceiveQueue::prepare(std::size_t index) {
  pieces_[index] = {{{small(index), kSmall}, {large(index) + kSmall, PacketBatch::kMaxPacket - kSmall}}};
  msghdr& header = headers_[index].msg_hdr;
  header = {};
  header.msg_name = &addresses_[index].storage;
  header.msg_namelen = sizeof(sockaddr_storage);
  header.msg_iov = pieces_[index].data();
  header.msg_iovlen = pieces_[index].size();
  header.msg_control = controls_[index].bytes.data();
  header.msg_controllen = kReceiveControl;
}

bool ReceiveQueue::read(int fd) {
  asked_ = std::exchange(vectors_, false) ? kVectors : kMessages;
  for (std::size_t i = 0; i < asked_; ++i) prepare(i);
  const int got = ::recvmmsg(fd, headers_.data(), static_cast<unsigned>(asked_), MSG_DONTWAIT, nullptr);
  count_ = got > 0 ? static_cast<std::size_t>(got) : 0;
  next_ = 0;
  current_ = {};
  return count_ != 0;
}

std::span<std::uint8_t> ReceiveQueue::whole(std::size_t index) {
  const std::size_t size = std::min<std::size_t>(headers_[index].msg_len, PacketBatch::kMaxPacket);
  if (size <= kSmall) return {small(index), size};
  std::memcpy(large(index), small(index), kSmall);
  return {large(index), size};
}

ArrivedDatagram ReceiveQueue::next() {
  if (current_.empty()) {
    current_ = whole(next_);
    arrival_ = read_control(headers_[next_].msg_hdr);
    source_ = to_endpoint(addresses_[next_].storage);
    if (arrival_.segment >= current_.size()) arrival_.segment = 0;
    vectors_ = vectors_ || arrival_.segment != 0;
  }
  const std::size_t size =
      arrival_.segment == 0 ? current_.size() : std::min(arrival_.segment, current_.size());
  const ArrivedDatagram out{current_.first(size), source_, &arrival_, arrival_.segment != 0};
  current_ = current_.subspan(size);
  if (current_.empty()) ++next_;
  return out;
}

}  // namespace oakgate::soft
