#include "daemon/capture/packet_source.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/capture/packet.h"
#include "ike/effects.h"

namespace oakgate::capture {

namespace {

constexpr int kReceiveBytes = 4 << 20;
constexpr std::size_t kFilteredRanges = 16;  // more are told apart here alone
constexpr std::uint32_t kWhole = 262'144;

std::uint32_t word_of(ByteView bytes, std::size_t at) {
  ByteReader reader(bytes.subspan(at));
  std::uint32_t word = 0;
  (void)reader.u32(word);
  return word;
}

// Classic BPF over the IP header (the socket is SOCK_DGRAM). Jumps count instructions from the next one on.
class Filter {
 public:
  explicit Filter(std::span<const AddressRange> addresses) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL));
    add(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 1, 0);
    const std::size_t otherwise = add(BPF_JMP | BPF_JA, 0);
    ipv4(addresses);
    code_[otherwise].k = static_cast<std::uint32_t>(code_.size() - otherwise - 1);
    add(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 1, 0);
    add(BPF_RET | BPF_K, 0);
    ipv6(addresses);
  }
  [[nodiscard]] std::vector<sock_filter>& code() { return code_; }

 private:
  std::size_t add(int code, std::uint32_t k, std::uint8_t yes = 0, std::uint8_t no = 0) {
    code_.push_back({static_cast<std::uint16_t>(code), yes, no, k});
    return code_.size() - 1;
  }
  // Takes the packet if the address at `at` is of the range.
  void take_range(std::uint32_t at, const AddressRange& range) {
    if (range.first.is_v4()) {
      add(BPF_LD | BPF_W | BPF_ABS, at);
      add(BPF_JMP | BPF_JGE | BPF_K, word_of(range.first.bytes(), 0), 0, 2);
      add(BPF_JMP | BPF_JGT | BPF_K, word_of(range.last.bytes(), 0), 1, 0);
      add(BPF_RET | BPF_K, kWhole);
    } else if (range.first == range.last) {
      for (std::uint32_t i = 0; i < 4; ++i) {
        add(BPF_LD | BPF_W | BPF_ABS, at + 4 * i);
        add(BPF_JMP | BPF_JEQ | BPF_K, word_of(range.first.bytes(), std::size_t{4} * i), 0,
            static_cast<std::uint8_t>(7 - 2 * i));
      }
      add(BPF_RET | BPF_K, kWhole);
    } else {
      add(BPF_RET | BPF_K, kWhole);  // told apart later
    }
  }
  void take_addresses(std::span<const AddressRange> addresses, Family family, std::uint32_t source,
                      std::uint32_t destination) {
    if (addresses.size() > kFilteredRanges) add(BPF_RET | BPF_K, kWhole);
    for (const AddressRange& range : addresses) {
      if (range.first.family() != family) continue;
      take_range(source, range);
      take_range(destination, range);
    }
    add(BPF_RET | BPF_K, 0);
  }
  void ports(std::uint32_t at, int mode, std::uint8_t to_take) {
    add(BPF_LD | BPF_H | mode, at);
    add(BPF_JMP | BPF_JEQ | BPF_K, ike::kIkePort, static_cast<std::uint8_t>(to_take - 2));
    add(BPF_JMP | BPF_JEQ | BPF_K, ike::kNatTraversalPort, static_cast<std::uint8_t>(to_take - 3));
  }
  void ipv4(std::span<const AddressRange> addresses) {
    add(BPF_LD | BPF_B | BPF_ABS, 9);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolEspIp, 13);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolAhIp, 12);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolUdp, 1);
    add(BPF_RET | BPF_K, 0);
    add(BPF_LD | BPF_H | BPF_ABS, 6);
    add(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 8);  // a fragment behind the first
    add(BPF_LDX | BPF_B | BPF_MSH, 0);
    ports(0, BPF_IND, 7);
    ports(2, BPF_IND, 4);
    add(BPF_RET | BPF_K, 0);
    take_addresses(addresses, Family::ipv4, 12, 16);
  }
  void ipv6(std::span<const AddressRange> addresses) {
    add(BPF_LD | BPF_B | BPF_ABS, 6);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolEspIp, 11);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolAhIp, 10);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolFragment, 9);
    add(BPF_JMP | BPF_JEQ | BPF_K, kProtocolUdp, 1);
    add(BPF_RET | BPF_K, 0);
    ports(40, BPF_ABS, 7);
    ports(42, BPF_ABS, 4);
    add(BPF_RET | BPF_K, 0);
    take_addresses(addresses, Family::ipv6, 8, 24);
  }

  std::vector<sock_filter> code_;
};

std::uint64_t arrival_of(msghdr& message) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SO_TIMESTAMPNS) continue;
    timespec time{};
    std::memcpy(&time, CMSG_DATA(one), sizeof time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
  }
  return 0;
}

}  // namespace

Result<PacketSource> PacketSource::open() {
  // No protocol yet: nothing comes before watch() has set the filter.
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    return fail(ErrorCode::not_permitted, std::string("packets cannot be captured: ") + std::strerror(errno),
                "root, or CAP_NET_RAW in the daemon's network namespace", "run oakgate as root");
  }
  const int size = kReceiveBytes, on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  return PacketSource(std::move(fd));
}

void PacketSource::watch(std::vector<AddressRange> addresses) {
  const bool first = addresses_.empty();
  addresses_ = std::move(addresses);
  Filter filter(addresses_);
  sock_fprog program{static_cast<unsigned short>(filter.code().size()), filter.code().data()};
  // Without the filter it is slower, no more: everything is looked at once again.
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  if (!first) return;
  sockaddr_ll all{};
  all.sll_family = AF_PACKET;
  all.sll_protocol = htons(ETH_P_ALL);  // of outgoing packets only those who want all are told
  (void)::bind(fd_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&all)), sizeof all);
}

bool PacketSource::wanted(ByteView packet) const {
  const auto ip = parse_ip(packet);
  if (!ip || !is_ipsec(*ip)) return false;
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const AddressRange& range) {
    return range.contains(ip->source) || range.contains(ip->destination);
  });
}

const std::string& PacketSource::name_of(unsigned interface) {
  const auto [found, added] = names_.try_emplace(interface);
  if (added) {
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(interface, name.data()) != nullptr) found->second = name.data();
  }
  return found->second;
}

bool PacketSource::read(std::vector<CapturedPacket>& out) {
  sockaddr_ll from{};
  iovec data{buffer_.data(), buffer_.size()};
  alignas(cmsghdr) std::array<std::uint8_t, 128> control{};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_TRUNC);
  if (got < 0) return errno == EINTR;
  const ByteView packet = ByteView(buffer_).first(std::min(static_cast<std::size_t>(got), buffer_.size()));
  const bool outgoing = from.sll_pkttype == PACKET_OUTGOING;
  // The loopback device shows each packet twice.
  if ((outgoing && from.sll_hatype == ARPHRD_LOOPBACK) || !wanted(packet)) return true;
  CapturedPacket one;
  one.nanoseconds = arrival_of(message);
  one.interface = static_cast<unsigned>(from.sll_ifindex);
  one.interface_name = name_of(one.interface);
  one.outgoing = outgoing;
  one.length = static_cast<std::uint32_t>(got);
  std::vector<Bytes> pieces = cut_vector(packet);
  if (pieces.empty()) pieces.push_back(to_bytes(packet));
  const bool cut = pieces.size() > 1;
  for (Bytes& piece : pieces) {
    one.bytes = std::move(piece);
    if (cut) one.length = static_cast<std::uint32_t>(one.bytes.size());
    out.push_back(one);
  }
  return true;
}

std::uint64_t PacketSource::lost() {
  tpacket_stats stats{};
  socklen_t size = sizeof stats;
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0) return 0;
  return stats.tp_drops;
}

}  // namespace oakgate::capture
