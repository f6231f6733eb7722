#include "xfrm/soft/outer_ipv6_header.h"

#include <netinet/in.h>

#include <algorithm>

#include "xfrm/soft/ah_packet.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kFixed = 40;
constexpr std::size_t kLongestPayload = 65535;

}  // namespace

void Ipv6Extensions::add(const Ipv6Extension& extension) {
  if (count_ == kMost || extension.bytes.empty()) {
    lost_ = true;
    return;
  }
  kept_[count_++] = extension;
}

std::size_t put_ipv6_header(std::span<std::uint8_t> payload, const IpAddress& source,
                            const IpAddress& destination, const Ipv6Extensions& extensions) {
  std::size_t size = kFixed;
  for (const Ipv6Extension& one : extensions.all()) size += one.bytes.size();
  const std::size_t length = size - kFixed + payload.size();
  if (!extensions.complete() || size > kMaxIpHeader || length > kLongestPayload) return 0;
  std::uint8_t* const header = payload.data() - size;
  std::fill_n(header, kFixed, std::uint8_t{0});
  header[0] = 0x60;
  header[4] = static_cast<std::uint8_t>(length >> 8);
  header[5] = static_cast<std::uint8_t>(length);
  header[6] = extensions.all().empty() ? std::uint8_t{IPPROTO_AH} : extensions.all().front().protocol;
  std::copy_n(source.bytes().begin(), 16, header + 8);
  std::copy_n(destination.bytes().begin(), 16, header + 24);
  std::uint8_t* at = header + kFixed;
  for (const Ipv6Extension& one : extensions.all()) at = std::copy(one.bytes.begin(), one.bytes.end(), at);
  return size;
}

}  // namespace oakgate::soft
