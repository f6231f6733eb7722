#include "xfrm/soft/send_queue.h"

#include <algorithm>
#include <cerrno>

namespace oakgate::soft {

namespace {

bool same_path(const OuterPath& a, const OuterPath& b) {
  return a.destination == b.destination && a.source == b.source && a.encapsulation == b.encapsulation;
}

bool may_lead(const SealedPacket& packet) {
  return packet.path.encapsulation && packet.protocol == IpsecProtocol::esp && packet.fragment_to == 0;
}

// Of errors that a single packet may not meet: no checksum offload on the device, IPsec of the host's own on
// the way (EIO); a path smaller than the segments (EINVAL, EMSGSIZE).
bool refuses_vectors(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE;
}

}  // namespace

std::size_t vector_length(std::span<const SealedPacket> packets) {
  if (packets.empty() || !may_lead(packets[0])) return std::min<std::size_t>(packets.size(), 1);
  const SealedPacket& first = packets[0];
  const std::size_t most = std::min(packets.size(), SendQueue::kVectorPackets);
  std::size_t bytes = first.bytes.size();
  std::size_t count = 1;
  while (count < most) {
    const SealedPacket& packet = packets[count];
    bytes += packet.bytes.size();
    if (packet.bytes.size() > first.bytes.size() || packet.bytes.empty() || bytes > SendQueue::kVectorBytes ||
        packet.traffic_class != first.traffic_class || packet.dont_fragment != first.dont_fragment ||
        !may_lead(packet) || !same_path(packet.path, first.path)) {
      break;
    }
    ++count;
    if (packet.bytes.size() < first.bytes.size()) break;
  }
  return count;
}

bool SendQueue::takes_vectors(const IpAddress& destination) {
  for (Refusal& refusal : refusals_) {
    if (refusal.destination != destination) continue;
    if (--refusal.left == 0) std::erase_if(refusals_, [](const Refusal& one) { return one.left == 0; });
    return false;
  }
  return true;
}

void SendQueue::refuse_vectors(const IpAddress& destination) {
  std::erase_if(refusals_, [&destination](const Refusal& one) { return one.destination == destination; });
  if (refusals_.size() == kRefusals) refusals_.erase(refusals_.begin());
  refusals_.push_back({destination, kRetryAfter});
}

void SendQueue::prepare(std::size_t index, std::span<const SealedPacket> packets, const Message& message) {
  const SealedPacket& first = packets[message.first];
  for (std::size_t i = message.first; i < message.first + message.count; ++i) {
    // The kernel does not write through iovecs of messages to send.
    pieces_[i] = {const_cast<std::uint8_t*>(packets[i].bytes.data()), packets[i].bytes.size()};
  }
  const OuterPath& path = first.path;
  addresses_[index] =
      to_socket_address(path.destination, path.encapsulation ? path.encapsulation->remote_port : 0);
  msghdr& header = headers_[index].msg_hdr;
  header = {};
  header.msg_name = &addresses_[index].storage;
  header.msg_namelen = addresses_[index].size;
  header.msg_iov = &pieces_[message.first];
  header.msg_iovlen = message.count;
  header.msg_control = controls_[index].bytes.data();
  write_control(header, first, message.count > 1 ? first.bytes.size() : 0);
}

void SendQueue::send(int fd, std::span<const SealedPacket> packets, SendReport& report) {
  while (!packets.empty()) {
    const std::size_t some = std::min(packets.size(), PacketBatch::kCapacity);
    send_some(fd, packets.first(some), true, report);
    packets = packets.subspan(some);
  }
}

void SendQueue::send_some(int fd, std::span<const SealedPacket> packets, bool vectors, SendReport& report) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < packets.size(); ++count) {
    std::size_t length = vectors ? vector_length(packets.subspan(at)) : 1;
    if (length > 1 && !takes_vectors(packets[at].path.destination)) length = 1;
    messages_[count] = {at, length};
    prepare(count, packets, messages_[count]);
    at += length;
  }
  std::size_t done = 0;
  while (done < count) {
    const int sent =
        ::sendmmsg(fd, headers_.data() + done, static_cast<unsigned>(count - done), MSG_DONTWAIT);
    if (sent > 0) {
      for (const std::size_t end = done + static_cast<std::size_t>(sent); done < end; ++done) {
        report.sent += messages_[done].count;
      }
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    const int error = errno;
    const Message failed = messages_[done++];
    if (failed.count > 1 && refuses_vectors(error)) {
      refuse_vectors(packets[failed.first].path.destination);
      // The rest is prepared anew behind it: order within a path.
      send_some(fd, packets.subspan(failed.first, failed.count), false, report);
      const std::span<const SealedPacket> rest = packets.subspan(failed.first + failed.count);
      if (!rest.empty()) send_some(fd, rest, true, report);
      return;
    }
    // The first one failed; those behind it may have another path. A full queue drops, as any router does; a
    // path MTU that has just become smaller is asked for within a second.
    if (error != EAGAIN && error != ENOBUFS && error != EMSGSIZE) {
      report.error = error;
      report.path = packets[failed.first].path;
    }
    report.refused += failed.count;
  }
}

}  // namespace oakgate::soft
