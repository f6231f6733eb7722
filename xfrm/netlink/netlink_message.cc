#include "xfrm/netlink/netlink_message.h"

#include <libmnl/libmnl.h>

#include <algorithm>

#include "ike/base/secret.h"

namespace oakgate {

NetlinkMessage::Buffer::~Buffer() {
  wipe(bytes.data(), bytes.size());
}

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags)
    : buffer_(std::make_unique<Buffer>()) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer_->bytes.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

nlmsghdr& NetlinkMessage::header() const {
  return *reinterpret_cast<nlmsghdr*>(buffer_->bytes.data());
}

ByteView NetlinkMessage::view() const {
  return {buffer_->bytes.data(), header().nlmsg_len};
}

void* NetlinkMessage::put_header_bytes(std::size_t size) {
  return mnl_nlmsg_put_extra_header(&header(), size);  // the fixed headers are small and come first
}

void NetlinkMessage::put(std::uint16_t attribute, ByteView value) {
  if (!mnl_attr_put_check(&header(), kCapacity, attribute, value.size(), value.data())) overflowed_ = true;
}

void NetlinkMessage::put_u8(std::uint16_t attribute, std::uint8_t value) {
  put(attribute, {&value, 1});
}
void NetlinkMessage::put_u32(std::uint16_t attribute, std::uint32_t value) {
  put_struct(attribute, value);
}

void NetlinkMessage::put_string(std::uint16_t attribute, std::string_view value) {
  Bytes text = to_bytes(as_bytes(value));
  text.push_back(0);
  put(attribute, text);
}

void NetlinkMessage::begin_nest(std::uint16_t attribute) {
  nest_ = mnl_attr_nest_start_check(&header(), kCapacity, attribute);
  if (nest_ == nullptr) overflowed_ = true;
}

void NetlinkMessage::end_nest() {
  if (nest_ != nullptr) mnl_attr_nest_end(&header(), nest_);
  nest_ = nullptr;
}

Bytes netlink_attribute(std::uint16_t type, ByteView value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  Bytes out(NLA_ALIGN(sizeof(header) + value.size()));
  std::memcpy(out.data(), &header, sizeof(header));
  std::copy(value.begin(), value.end(), out.begin() + sizeof(header));
  return out;
}

Bytes join(std::initializer_list<ByteView> pieces) {
  Bytes out;
  for (const ByteView piece : pieces) out.insert(out.end(), piece.begin(), piece.end());
  return out;
}

NetlinkAttributes::NetlinkAttributes(const nlmsghdr& message, std::size_t header_bytes) {
  const std::size_t start = sizeof(nlmsghdr) + NLMSG_ALIGN(header_bytes);
  if (message.nlmsg_len <= start) return;
  parse({reinterpret_cast<const std::uint8_t*>(&message) + start, message.nlmsg_len - start});
}

NetlinkAttributes::NetlinkAttributes(ByteView nested) {
  parse(nested);
}

void NetlinkAttributes::parse(ByteView raw) {
  while (raw.size() >= sizeof(nlattr)) {
    nlattr header;
    std::memcpy(&header, raw.data(), sizeof(header));
    if (header.nla_len < sizeof(nlattr) || header.nla_len > raw.size()) return;
    entries_.push_back({static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                        raw.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr))});
    raw = raw.subspan(std::min<std::size_t>(raw.size(), NLA_ALIGN(header.nla_len)));
  }
}

const NetlinkAttributes::Entry* NetlinkAttributes::find(std::uint16_t type) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->type == type) return &*entry;
  }
  return nullptr;
}

ByteView NetlinkAttributes::get(std::uint16_t type) const {
  const Entry* entry = find(type);
  return entry == nullptr ? ByteView{} : entry->value;
}

std::uint32_t NetlinkAttributes::u32(std::uint16_t type, std::uint32_t absent) const {
  return as<std::uint32_t>(type).value_or(absent);
}

std::uint8_t NetlinkAttributes::u8(std::uint16_t type, std::uint8_t absent) const {
  return as<std::uint8_t>(type).value_or(absent);
}

std::optional<IpAddress> NetlinkAttributes::address(std::uint16_t type) const {
  return IpAddress::from_bytes(get(type));
}

std::string_view NetlinkAttributes::text(std::uint16_t type) const {
  const ByteView raw = get(type);
  const std::string_view characters(reinterpret_cast<const char*>(raw.data()), raw.size());
  return characters.substr(0, characters.find('\0'));
}

}  // namespace oakgate
