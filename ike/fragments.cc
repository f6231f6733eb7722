#include "ike/fragments.h"

#include <algorithm>

#include "ike/base/vendor_ids.h"
#include "ike/crypto/prf.h"

namespace oakgate::ike {

namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kNonEspMarker = 4;
constexpr std::size_t kFragmentFields = 4;  // id, number, flags
constexpr std::uint8_t kLastFragment = 0x01;
constexpr std::uint32_t kMainMode = 0x80000000;
constexpr std::uint32_t kAggressiveMode = 0x40000000;

std::size_t datagram_bytes(Family family) {
  return kFragmentPacketBytes - (family == Family::ipv4 ? kIpv4Header : kIpv6Header) - kUdpHeader -
         kNonEspMarker;
}

// [MS-IKEE] section 2.2.3.1: "the same value for every fragment that is generated from a particular IKE
// message". Taken from the message itself, it stays the same when that is repeated, and says nothing.
std::optional<std::uint16_t> id_of(ByteView message) {
  const auto digest = crypto::hash(IkeHash::sha256, {message});
  if (!digest) return std::nullopt;
  const auto id = static_cast<std::uint16_t>((*digest)[0] << 8 | (*digest)[1]);
  return id == 0 ? std::uint16_t{1} : id;
}

}  // namespace

std::vector<Bytes> fragments_of(const Bytes& message, Family family) {
  const std::size_t room =
      datagram_bytes(family) - wire::kHeaderBytes - wire::kGenericHeaderBytes - kFragmentFields;
  const std::size_t count = (message.size() + room - 1) / room;
  if (message.size() <= datagram_bytes(family) || count > kMaxFragments) return {message};
  auto header = wire::parse_header(message);
  const auto id = id_of(message);
  if (!header || !id) return {message};
  // [MS-IKEE] section 3.3.6.1: "the Next Payload field set to the Fragment payload and the Encrypted flag
  // cleared".
  header->flags = static_cast<std::uint8_t>(header->flags & ~wire::kFlagEncryption);
  std::vector<Bytes> datagrams;
  for (std::size_t i = 0; i < count; ++i) {
    wire::FragmentPayload fragment{*id, static_cast<std::uint8_t>(i + 1), {}, {}};
    if (i + 1 == count) fragment.flags = kLastFragment;
    const ByteView rest = ByteView(message).subspan(i * room);
    fragment.data = to_bytes(rest.first(std::min(room, rest.size())));
    const wire::Payload payload = std::move(fragment);
    datagrams.push_back(wire::encode(*header, {&payload, 1}));
  }
  return datagrams;
}

bool announces_fragments(ByteView vendor_id, wire::ExchangeType type) {
  if (find_vendor_id(vendor_id) != VendorId::fragmentation) return false;
  ByteReader reader(vendor_id.subspan(vendor_id_info(VendorId::fragmentation).compare_bytes));
  std::uint32_t modes = 0;
  if (!reader.u32(modes)) return true;
  return (modes & (type == wire::ExchangeType::aggressive ? kAggressiveMode : kMainMode)) != 0;
}

bool Reassembly::belongs(const wire::Header& header, const wire::FragmentPayload& fragment) const {
  if (fragment.id != id_ || header.message_id != message_id_) return false;
  const Bytes& known = parts_[fragment.number - 1U];
  const bool last = (fragment.flags & kLastFragment) != 0;
  if (!known.empty()) return known == fragment.data && last == (last_ == fragment.number);
  if (last_ != 0) return !last && fragment.number < last_;
  return !last || std::all_of(parts_.begin() + fragment.number, parts_.end(),
                              [](const Bytes& part) { return part.empty(); });
}

bool Reassembly::complete() const {
  return last_ != 0 && std::none_of(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(last_),
                                    [](const Bytes& part) { return part.empty(); });
}

Result<std::optional<Bytes>> Reassembly::take(const wire::Header& header,
                                              const wire::FragmentPayload& fragment) {
  if (fragment.number == 0 || fragment.number > kMaxFragments || fragment.data.empty()) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                  "fragment " + std::to_string(fragment.number) + " of " +
                      std::to_string(fragment.data.size()) + " bytes",
                  "fragments numbered 1 to " + std::to_string(kMaxFragments) + ", none empty");
  }
  const bool same = !empty() && belongs(header, fragment);
  const std::size_t held = same ? bytes_ : 0;
  const bool new_part = !same || parts_[fragment.number - 1U].empty();
  if (new_part && held + fragment.data.size() > kMaxReassembledBytes) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                  "fragments of a message of more than " + std::to_string(kMaxReassembledBytes) + " bytes",
                  "at most " + std::to_string(kMaxReassembledBytes) + " bytes");
  }
  if (!same) clear();
  id_ = fragment.id;
  message_id_ = header.message_id;
  const bool last = (fragment.flags & kLastFragment) != 0;
  if (last) last_ = fragment.number;
  if (new_part) {
    parts_[fragment.number - 1U] = fragment.data;
    bytes_ += fragment.data.size();
  }
  if (!complete() || (!new_part && !last)) return std::optional<Bytes>{};
  Bytes whole;
  whole.reserve(bytes_);
  for (const Bytes& part : parts_) whole.insert(whole.end(), part.begin(), part.end());
  return std::optional(std::move(whole));
}

void Reassembly::clear() {
  for (Bytes& part : parts_) part = Bytes{};
  last_ = 0;
  bytes_ = 0;
}

}  // namespace oakgate::ike
