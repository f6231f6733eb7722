// IKE fragmentation as Cisco has it (payload type 132, [MS-IKEE] sections 2.2.3 and 3.3): a message too large
// for one packet goes as several ISAKMP messages in clear, each the header of the whole with one FRAG payload
// behind it, and the receiver puts it together again. What the message holds, encrypted or not, is none of
// this file's business. It is announced by the vendor ID FRAGMENTATION.
//
// Bounds: a message comes from at most 16 fragments and is at most 32,768 bytes long; an IKE SA collects one
// message at a time, and only SAs whose peer returned our cookie, whose number is bounded (half_open.h),
// collect at all.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/wire/message.h"

namespace oakgate::ike {

inline constexpr std::size_t kMaxFragments = 16;
inline constexpr std::size_t kMaxReassembledBytes = 32'768;
// A packet of ours with a fragment, its IP and UDP headers and the non-ESP marker included, is no longer:
// what every IPv6 link carries (RFC 8200 section 5), and, less what tunnels take, nearly every IPv4 path.
inline constexpr std::size_t kFragmentPacketBytes = 1280;

// The datagrams that carry `message`: itself if it fits, else its fragments, in order. The same message gives
// the same ones, so those of a retransmission complete each other. A message for which 16 fragments are too
// few goes whole, in fragments of IP.
[[nodiscard]] std::vector<Bytes> fragments_of(const Bytes& message, Family family);

// Whether a peer that sent this vendor ID takes fragments in an exchange of that type. The 16 bytes may be
// followed by a word: 0x80000000 for Main Mode, 0x40000000 for Aggressive Mode; without it, both.
[[nodiscard]] bool announces_fragments(ByteView vendor_id, wire::ExchangeType type);

// The fragments of one message as they come in: in any order, more than once.
class Reassembly {
 public:
  // The whole message once its last missing fragment is here, and once more whenever its last fragment is
  // repeated: the sender wants its answer again. Nothing while some are missing. A fragment that cannot be of
  // the same message (another id or message id, a number that is there with other bytes, one beyond the last)
  // begins a new one, and the older one is forgotten: peers use one id for everything.
  // ErrorCode::malformed: numbered 0, empty, or beyond a bound; nothing has changed.
  [[nodiscard]] Result<std::optional<Bytes>> take(const wire::Header& header,
                                                  const wire::FragmentPayload& fragment);
  void clear();
  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] bool belongs(const wire::Header& header, const wire::FragmentPayload& fragment) const;
  [[nodiscard]] bool complete() const;

  std::uint16_t id_ = 0;
  MessageId message_id_;
  std::array<Bytes, kMaxFragments> parts_;
  std::size_t last_ = 0;   // the number of the last one; 0: not here yet
  std::size_t bytes_ = 0;  // of all parts
};

}  // namespace oakgate::ike
