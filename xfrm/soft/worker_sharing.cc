// What a worker does with packets that it has read for another, and with those that others have read for it.
#include <algorithm>
#include <bit>

#include "xfrm/soft/worker.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kTakenInARow = 512;  // packets and vectors of one sender before the next one's turn

}  // namespace

// ---- To others

bool Worker::hand_over(unsigned owner, const HandedPacket& handed) {
  handed_to_ |= std::uint64_t{1} << owner;
  return place_.inboxes[owner]->put(place_.self, handed);
}

// Before the batch's own packets are worked on: the others can begin.
void Worker::deliver_handed() {
  for (; handed_to_ != 0; handed_to_ &= handed_to_ - 1) {
    place_.inboxes[static_cast<unsigned>(std::countr_zero(handed_to_))]->deliver(place_.self);
  }
}

bool Worker::hand_over_leaving(const VirtioHeader& header, std::span<std::uint8_t> packet) {
  const unsigned owner = steering_.owner_of_leaving(packet);
  if (owner == place_.self) return false;
  HandedPacket handed;
  handed.from_lan = true;
  handed.virtio = header;
  handed.packet.bytes = packet;
  if (!hand_over(owner, handed)) {
    const auto segments = Segmentation::read(header, packet);
    queue_full_ += segments ? segments->count() : 1;
  }
  return true;
}

void Worker::hand_over_arrived() {
  std::size_t kept = 0;
  const std::span<BatchPacket> packets = batch_.packets();
  for (BatchPacket& packet : packets) {
    const unsigned owner = steering_.owner_of_arriving(packet);
    if (owner == place_.self) {
      packets[kept++] = packet;
      continue;
    }
    HandedPacket handed;
    handed.packet = packet;
    if (!hand_over(owner, handed)) ++queue_full_;
  }
  if (kept != packets.size()) batch_.shorten(kept);
  deliver_handed();
}

// ---- From others

// Before the worker's own queue of the TUN: what the kernel has moved from another queue to this one comes
// behind what was read there.
void Worker::from_others() {
  inbox_.awake();
  for (unsigned sender = 0; sender < inbox_.workers(); ++sender) {
    if (sender != place_.self) from_other(sender);
  }
}

void Worker::from_other(unsigned sender) {
  bool from_lan = false;  // what the batch holds
  HandedPacket handed;
  batch_.clear();
  for (std::size_t taken = 0; taken < kTakenInARow && inbox_.take(sender, handed); ++taken) {
    if (batch_.size() != 0 && (batch_.full() || handed.from_lan != from_lan)) {
      carry(from_lan, worker_now());
      batch_.clear();
    }
    from_lan = handed.from_lan;
    if (!from_lan) {
      put_handed(handed);
    } else if (!tun_.put(handed.virtio, handed.packet.bytes, batch_)) {
      carry(true, worker_now());
      batch_.clear();
      (void)tun_.put(handed.virtio, handed.packet.bytes, batch_);
    }
    inbox_.release(sender);
    while (tun_.unfinished()) {
      carry(true, worker_now());
      batch_.clear();
      tun_.go_on(batch_);
    }
  }
  if (batch_.size() != 0) carry(from_lan, worker_now());
}

void Worker::put_handed(const HandedPacket& handed) {
  const std::size_t before = handed.packet.ip_header;
  static_assert(PacketBatch::kHeadroom >= kMaxIpHeader);
  const std::span<std::uint8_t> room = batch_.next_room();
  std::copy_n(handed.packet.bytes.data() - before, before + handed.packet.bytes.size(), room.data() - before);
  BatchPacket packet = handed.packet;
  packet.bytes = room.first(packet.bytes.size());
  batch_.add(packet.bytes) = packet;
}

}  // namespace oakgate::soft
