// The cryptography of a batch: requests of many packets and SAs, worked off together. The engine fills them
// while it classifies, and reads the answers afterwards, in the packets' order.
//
// Requests point at the SAs' keys and at the packets, and own neither.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/esp_packet.h"

namespace oakgate::soft {

struct SealRequest {
  EspSealer* sealer = nullptr;
  std::span<std::uint8_t> packet;         // sealed_size(inner_size) bytes, the inner packet at prefix()
  EspHeader header;                       // the whole sequence number, whatever of it travels
  std::array<std::uint8_t, kMaxIv> iv{};  // the first layout().iv bytes of it
  std::size_t inner_size = 0;
  std::uint8_t next_header = 0;
  bool sealed = false;  // the answer; false: the packet must not be sent
};

struct OpenRequest {
  EspOpener* opener = nullptr;
  std::span<std::uint8_t> packet;  // from the SPI on
  std::uint64_t sequence = 0;      // the whole number, as the window takes it
  Opened opened;                   // the answer
};

// One of AH; `packet` and `ip_header` as AhAuthenticator has them.
struct AhRequest {
  AhAuthenticator* ah = nullptr;
  std::span<std::uint8_t> packet;
  std::size_t ip_header = 0;
  AhHeader header;                           // to protect: what is written. To verify: not used
  AhVerdict verdict = AhVerdict::malformed;  // the answer
};

void seal(std::span<SealRequest> requests);
void open(std::span<OpenRequest> requests);
void protect(std::span<AhRequest> requests);
void verify(std::span<AhRequest> requests);

}  // namespace oakgate::soft
