// The ESP and AH packets of a capture by their SAs: how many went each way, what is missing, and, of SAs
// whose keys are known, what is in them. RFC 4302, RFC 4303.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/capture/packet.h"
#include "daemon/capture/wireshark_tables.h"
#include "daemon/control_protocol.h"
#include "xfrm/soft/esp_packet.h"

namespace oakgate::decode {

// "10.1.0.10 -> 10.2.0.10 ICMP echo request, 84 bytes"; "not an IP packet" and the like.
[[nodiscard]] std::string inner_text(ByteView ip_packet);

class EspFlows {
 public:
  static constexpr std::size_t kMost = 16'384;  // SAs; packets of others are shown, not counted

  // `tables` outlives it.
  explicit EspFlows(const capture::KeyTables& tables) : tables_(tables) {}

  // An ESP packet from its SPI on, and what carried it ("ESP", "ESP in UDP"); or AH from its next header on.
  [[nodiscard]] Json esp(const IpAddress& from, const IpAddress& to, ByteView packet,
                         std::string_view carrier, bool cut);
  [[nodiscard]] Json ah(const IpAddress& from, const IpAddress& to, ByteView packet, bool cut);

  struct Flow {
    std::uint64_t packets = 0;
    std::uint32_t first = 0;  // sequence numbers
    std::uint32_t highest = 0;
    std::uint64_t repeated_or_late = 0;
    std::uint64_t opened = 0;
    std::uint64_t refused = 0;  // the key is known and does not open it
    bool key_known = false;
    bool ah = false;
  };
  struct Name {
    IpAddress from;
    IpAddress to;
    std::uint32_t spi = 0;
    bool ah = false;
    friend auto operator<=>(const Name&, const Name&) = default;
  };
  [[nodiscard]] const std::map<Name, Flow>& flows() const { return flows_; }

 private:
  Flow* count(const Name& name, std::uint32_t sequence);
  [[nodiscard]] const capture::EspKeys* keys_of(const Name& name) const;
  void open(const Name& name, ByteView packet, Flow& flow, Json& json);

  const capture::KeyTables& tables_;
  std::map<Name, Flow> flows_;
  std::map<Name, std::unique_ptr<soft::EspOpener>> openers_;  // null: its keys make none
};

}  // namespace oakgate::decode
