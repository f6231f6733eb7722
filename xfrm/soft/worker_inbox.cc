#include "xfrm/soft/worker_inbox.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <type_traits>

namespace oakgate::soft {

namespace {

constexpr std::size_t kRingsInAll = 128 << 20;
constexpr std::size_t kSmallestRing = 256 << 10;  // three vectors of 64 KB
constexpr std::size_t kLargestRing = 8 << 20;     // what a socket takes, too (outer_socket.cc)

static_assert(std::is_trivially_copyable_v<HandedPacket>);

}  // namespace

std::size_t WorkerInbox::ring_bytes(unsigned workers) {
  const std::size_t rings = std::max<std::size_t>(1, std::size_t{workers} * (workers - 1));
  return std::clamp(std::bit_floor(kRingsInAll / rings), kSmallestRing, kLargestRing);
}

WorkerInbox::WorkerInbox(unsigned self, unsigned workers) {
  for (unsigned from = 0; from < workers; ++from) {
    rings_.push_back(from == self ? nullptr : std::make_unique<RecordRing>(ring_bytes(workers)));
  }
}

Result<void> WorkerInbox::open() {
  fd_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd_.valid()) return {};
  return fail(ErrorCode::internal, std::string("eventfd: ") + std::strerror(errno));
}

void WorkerInbox::wake() {
  const std::uint64_t one = 1;
  (void)!::write(fd_.get(), &one, sizeof(one));  // EAGAIN: it is readable already
}

void WorkerInbox::answer() {
  std::uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof(count));
}

bool WorkerInbox::put(unsigned from, const HandedPacket& handed) {
  const std::size_t before = handed.packet.ip_header;
  const std::size_t size = before + handed.packet.bytes.size();
  const std::span<std::uint8_t> room = rings_[from]->reserve(sizeof(handed) + size);
  if (room.empty()) return false;
  std::memcpy(room.data(), &handed, sizeof(handed));
  if (size != 0) std::memcpy(room.data() + sizeof(handed), handed.packet.bytes.data() - before, size);
  return true;
}

void WorkerInbox::deliver(unsigned from) {
  rings_[from]->publish();
  // Either this sees that the worker sleeps, or may_sleep() sees what was published.
  if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) wake();
}

bool WorkerInbox::may_sleep() {
  asleep_.store(true, std::memory_order_seq_cst);
  const bool waits = std::any_of(rings_.begin(), rings_.end(),
                                 [](const auto& ring) { return ring != nullptr && ring->waits(); });
  if (waits) awake();
  return !waits;
}

bool WorkerInbox::take(unsigned from, HandedPacket& handed) {
  const std::span<std::uint8_t> record = rings_[from]->next();
  if (record.empty()) return false;
  std::memcpy(static_cast<void*>(&handed), record.data(), sizeof(handed));
  handed.packet.bytes = record.subspan(sizeof(handed) + handed.packet.ip_header);
  return true;
}

void WorkerInbox::release(unsigned from) {
  rings_[from]->release();
}

}  // namespace oakgate::soft
