// Looks at a capture packet by packet: what each one is, decrypted where there are keys, and at the end what
// happened, in words. Offline, without a daemon or rights. Hostile captures are expected: every table of
// state is bounded, and what does not parse is shown as that.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/capture/packet.h"
#include "daemon/decode/esp_flows.h"
#include "daemon/decode/negotiation.h"

namespace oakgate::decode {

class Decoder {
 public:
  static constexpr std::size_t kMostNegotiations = 4096;  // messages of others are shown, not followed

  explicit Decoder(const capture::KeyTables& tables) : tables_(tables), esp_(tables) {}

  // Null: a packet that has nothing to do with IPsec. Else {"number", "time", "from", "to", "kind", ...}.
  [[nodiscard]] Json take(const capture::Frame& frame);
  // What happened: {"isakmp_sas": [...], "sas": [...], "said": ["...", ...]}.
  [[nodiscard]] Json story() const;

 private:
  struct Carried {
    Endpoint from;
    Endpoint to;
    bool cut = false;
  };
  [[nodiscard]] Json datagram(std::uint64_t number, const Carried& carried, ByteView payload);
  [[nodiscard]] Json isakmp(std::uint64_t number, const Carried& carried, ByteView message);

  const capture::KeyTables& tables_;
  EspFlows esp_;
  capture::Reassembler fragments_;
  std::map<Cookie, Negotiation> negotiations_;
  std::vector<Cookie> order_;
  std::uint64_t packets_ = 0;
  std::uint64_t ip_fragments_ = 0;
  std::uint64_t keepalives_ = 0;
  std::uint64_t ikev2_ = 0;
};

}  // namespace oakgate::decode
