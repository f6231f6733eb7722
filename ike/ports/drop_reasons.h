// Why a data plane drops a packet: one table for both planes, for `show crypto engine connections
// dropped-packet`, status and metrics. The words are those of IOS's messages where it has such a message.
//
// A packet is counted once. Nobody outside can tell one reason from another: all are answered by silence, but
// for ICMP to a sender of ours (`no_policy`, `no_sa`, `too_big`).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace oakgate {

enum class DropReason : std::uint8_t {
  invalid_spi,
  replayed,
  not_authentic,
  malformed,
  selector_mismatch,
  encapsulation,
  plaintext,
  congestion,
  lan_refused,
  no_policy,
  no_sa,
  too_big,
  expired,
  send_refused,
  crypto_failed,
  queue_full,
};

struct DropReasonRow {
  DropReason reason{};
  std::string_view key;    // in JSON
  std::string_view words;  // for people
};

// In the enumeration's order.
inline constexpr std::array<DropReasonRow, 16> kDropReasons{{
    {DropReason::invalid_spi, "invalid_spi", "rec'd IPSEC packet has invalid spi"},
    {DropReason::replayed, "replayed", "decrypt: replay check failed"},
    // The ICV or, behind it, the padding: RFC 4303 section 2.4.
    {DropReason::not_authentic, "not_authentic", "decrypt: mac verify failed"},
    {DropReason::malformed, "malformed", "packet is malformed"},
    {DropReason::selector_mismatch, "selector_mismatch", "decapsulated packet failed SA identity check"},
    // Native for an SA in UDP or the other way round, ESP without the AH over it.
    {DropReason::encapsulation, "encapsulation", "rec'd IPSEC packet has wrong encapsulation"},
    {DropReason::plaintext, "plaintext", "rec'd packet not an IPSEC packet"},
    {DropReason::congestion, "congestion", "congestion experienced, transport without ECN"},
    {DropReason::lan_refused, "lan_refused", "decapsulated packet refused by the host"},
    {DropReason::no_policy, "no_policy", "no crypto map matches"},
    {DropReason::no_sa, "no_sa", "no outbound SA"},
    {DropReason::too_big, "too_big", "packet too big, DF set"},
    {DropReason::expired, "expired", "SA lifetime exceeded"},
    {DropReason::send_refused, "send_refused", "output refused by the interface"},
    {DropReason::crypto_failed, "crypto_failed", "crypto engine failure"},
    // Software plane: on its way from the worker that read it to the one that has its SA.
    {DropReason::queue_full, "queue_full", "crypto engine queue is full"},
}};

// Packets, one number a reason.
class DropCounts {
 public:
  [[nodiscard]] std::uint64_t of(DropReason reason) const {
    return counts_[static_cast<std::size_t>(reason)];
  }
  void add(DropReason reason, std::uint64_t packets = 1) {
    counts_[static_cast<std::size_t>(reason)] += packets;
  }
  [[nodiscard]] std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t one : counts_) sum += one;
    return sum;
  }
  friend bool operator==(const DropCounts&, const DropCounts&) = default;

 private:
  std::array<std::uint64_t, kDropReasons.size()> counts_{};
};

}  // namespace oakgate
