// The cryptography of a batch: requests of many packets and SAs, worked off together. The engine fills them
// while it classifies, and reads the answers afterwards, in the packets' order.
//
// AES-GCM goes packet by packet, some packets behind its preparation: by then the key has come into the
// cache, and what was written is there to be read. Of the others all packets of one
// algorithm are done at once, where ipsec-mb does it and they are enough for that to pay; the rest one by
// one.
//
// Requests point at the SAs' keys and at the packets, and own neither. Everything happens before a call
// returns. One CryptoBatch is one thread's.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/esp_packet.h"

namespace oakgate::soft {

struct SealRequest {
  EspSealer* sealer = nullptr;
  // sealed_size(inner_size) bytes, the inner packet at prefix(), an IV that is no counter at kEspHeader.
  std::span<std::uint8_t> packet;
  EspHeader header;  // the whole sequence number, whatever of it travels
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
  AhHeader header;  // to protect: what is written. To verify: its whole sequence number counts
  AhVerdict verdict = AhVerdict::malformed;  // the answer
};

class CryptoBatch {
 public:
  // With room for a batch of packets: none of these takes memory for that.
  CryptoBatch();

  void seal(std::span<SealRequest> requests);
  void open(std::span<OpenRequest> requests);
  void protect(std::span<AhRequest> requests);
  void verify(std::span<AhRequest> requests);

 private:
  // What waits to be done together, and whose it is.
  template <typename Job, typename Key>
  struct Lane {
    struct Owner {
      std::size_t request = 0;
      Key* key = nullptr;
    };
    std::vector<Job> jobs;
    std::vector<Owner> owners;
  };
  using Tag = std::array<std::uint8_t, kMaxTag>;

  void begin(std::size_t requests);
  // Of one request what can be done ahead: the key is on its way into the cache, the header written.
  void prepare(std::size_t request, SealRequest& asked);
  void seal_others(std::span<SealRequest> requests);  // seal()'s second half: all but AEADs
  // These do it now or put it into its lane; done_[request] tells what came of it once the lanes have run.
  void crypt(std::size_t request, EspKeys& keys, const EspParts& parts);
  void tag(std::size_t request, IntegrityTag& mac, ByteView data, std::size_t bytes);  // into tags_[request]
  void tag(std::size_t request, AhAuthenticator& ah, ByteView packet, std::uint64_t sequence);
  void open_others(std::span<OpenRequest> requests);  // open()'s second half: all but AEADs
  void run_ciphers();
  void run_tags();

  std::array<Lane<MultiBufferCipher::Job, BlockCipher>, kCipherLanes> ciphers_;
  std::array<Lane<MultiBufferTag::Job, IntegrityTag>, kTagLanes> macs_;
  // One for each request; they only grow.
  std::vector<Tag> tags_;
  std::vector<Tag> received_;            // the ICVs of what is to be opened, as they came
  std::vector<std::uint8_t> tag_bytes_;  // asked for
  std::vector<EspNonce> nonces_;
  std::vector<std::uint8_t> done_;
  std::vector<AhFrame> frames_;
};

}  // namespace oakgate::soft
