// One netlink request under construction, and the attributes of one answer.
//
// A NetlinkMessage owns a buffer of fixed size that is never reallocated and is wiped when it ends, because
// XFRM requests carry keys. What does not fit is remembered and makes sending fail: nothing is cut off
// silently. Byte order: netlink headers and u16/u32 are the host's; addresses and ports inside XFRM structs
// are network order.
#pragma once

#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/net.h"

namespace oakgate {

class NetlinkMessage {
 public:
  // `flags` beside NLM_F_REQUEST, which is always set.
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);

  // The fixed header behind nlmsghdr; zeroed; before any attribute. Valid for the message's life.
  template <typename Header>
  Header& put_header() {
    return *static_cast<Header*>(put_header_bytes(sizeof(Header)));
  }
  void put(std::uint16_t attribute, ByteView value);
  void put_u8(std::uint16_t attribute, std::uint8_t value);
  void put_u32(std::uint16_t attribute, std::uint32_t value);
  void put_string(std::uint16_t attribute, std::string_view value);  // with a closing NUL
  void put_address(std::uint16_t attribute, const IpAddress& address) { put(attribute, address.bytes()); }
  template <typename Struct>
  void put_struct(std::uint16_t attribute, const Struct& value) {
    put(attribute, {reinterpret_cast<const std::uint8_t*>(&value), sizeof(Struct)});
  }
  void begin_nest(std::uint16_t attribute);  // one level
  void end_nest();

  [[nodiscard]] bool overflowed() const { return overflowed_; }
  [[nodiscard]] nlmsghdr& header() const;
  [[nodiscard]] ByteView view() const;

 private:
  static constexpr std::size_t kCapacity = 2048;  // the largest request, an SA with its keys, takes under 700
  struct alignas(8) Buffer {
    std::array<std::uint8_t, kCapacity> bytes{};
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();
  };
  void* put_header_bytes(std::size_t size);

  std::unique_ptr<Buffer> buffer_;
  nlattr* nest_ = nullptr;
  bool overflowed_ = false;
};

// Attributes as plain bytes, for those nested deeper than NetlinkMessage does: one attribute, padded; pieces
// one behind the other.
[[nodiscard]] Bytes netlink_attribute(std::uint16_t type, ByteView value);
[[nodiscard]] Bytes join(std::initializer_list<ByteView> pieces);

// The attributes behind a message's fixed header of `header_bytes`; the last of each type counts. Views into
// the message. Malformed attributes end the list: the kernel is trusted, our own arithmetic is checked
// anyway.
class NetlinkAttributes {
 public:
  NetlinkAttributes(const nlmsghdr& message, std::size_t header_bytes);
  explicit NetlinkAttributes(ByteView nested);

  [[nodiscard]] bool has(std::uint16_t type) const { return find(type) != nullptr; }
  [[nodiscard]] ByteView get(std::uint16_t type) const;  // empty if absent
  [[nodiscard]] std::uint32_t u32(std::uint16_t type, std::uint32_t absent = 0) const;
  [[nodiscard]] std::uint8_t u8(std::uint16_t type, std::uint8_t absent = 0) const;
  [[nodiscard]] std::optional<IpAddress> address(std::uint16_t type) const;
  [[nodiscard]] std::string_view text(std::uint16_t type) const;
  // Copies a struct; nothing if the attribute is absent or shorter.
  template <typename Struct>
  [[nodiscard]] std::optional<Struct> as(std::uint16_t type) const {
    const ByteView raw = get(type);
    if (raw.size() < sizeof(Struct)) return std::nullopt;
    Struct value;
    std::memcpy(&value, raw.data(), sizeof(Struct));
    return value;
  }

 private:
  struct Entry {
    std::uint16_t type;
    ByteView value;
  };
  void parse(ByteView raw);
  [[nodiscard]] const Entry* find(std::uint16_t type) const;
  std::vector<Entry> entries_;
};

// A message's fixed header; nothing if the message is too short for it.
template <typename Header>
[[nodiscard]] const Header* netlink_header(const nlmsghdr& message) {
  if (message.nlmsg_len < sizeof(nlmsghdr) + sizeof(Header)) return nullptr;
  return reinterpret_cast<const Header*>(reinterpret_cast<const std::uint8_t*>(&message) + sizeof(nlmsghdr));
}

using NetlinkHandler = std::function<void(const nlmsghdr&)>;

}  // namespace oakgate
