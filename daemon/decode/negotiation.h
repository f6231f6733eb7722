// One ISAKMP SA as a capture shows it: what was agreed on in clear, the public values from which the IVs
// grow, and with its key every message of it, decrypted. RFC 2409 Appendix B. It believes nothing and checks
// no hash: a capture is looked at, not answered.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/capture/wireshark_tables.h"
#include "daemon/decode/payload_json.h"
#include "ike/base/net.h"
#include "ike/fragments.h"
#include "ike/wire/message.h"

namespace oakgate::decode {

// What became of one message.
struct Seen {
  wire::Header header;
  bool from_initiator = false;
  std::optional<std::uint64_t> repeats;  // the packet that this one repeats byte for byte
  bool encrypted = false;
  bool decrypted = false;
  std::string obstacle;  // why an encrypted one is not decrypted, or a clear one not understood
  wire::Body body;       // in clear or decrypted
  bool fragment = false;
  std::optional<std::size_t> reassembled;  // bytes of the message whose last fragment this was
};

// What the story needs of a phase 2 exchange.
struct Phase2 {
  wire::ExchangeType exchange{};
  std::uint64_t first_packet = 0;
  bool from_initiator = false;  // its first message
  int messages = 0;             // repetitions apart
  int repeated = 0;
  int from_other = 0;  // messages of the other side
  Bytes iv;
  std::vector<std::string> notifies;
  std::vector<std::string> chosen;  // the answer's transforms, in words
  std::vector<std::string> ids;
};

class Negotiation {
 public:
  static constexpr std::size_t kMostExchanges =
      4096;                                        // of one ISAKMP SA; later ones are shown, not decrypted
  static constexpr std::size_t kRemembered = 256;  // messages that may be repeated

  // `tables` outlives it.
  Negotiation(const Cookie& initiator, const capture::KeyTables& tables);

  // An ISAKMP message whose header was parsed.
  Seen take(std::uint64_t packet, const Endpoint& from, const Endpoint& to, const wire::Header& header,
            ByteView datagram);

  // What the story is made of.
  struct Facts {
    Cookie initiator_cookie{};
    Endpoint initiator;
    Endpoint responder;
    wire::ExchangeType exchange{};
    bool begun_here = false;  // its first message is in the capture
    std::uint64_t first_packet = 0;
    int initiator_messages = 0;  // of phase 1, repetitions apart
    int responder_messages = 0;
    int initiator_repeated = 0;
    int responder_repeated = 0;
    std::uint64_t last_packet = 0;
    bool fragments = false;
    std::optional<std::uint64_t> floated_at;  // to port 4500
    std::optional<bool> nat;                  // by the NAT-D payloads; none: they were not exchanged
    std::vector<std::string> offered;         // phase 1 transforms, in words
    std::optional<std::string> chosen;
    std::vector<std::pair<bool, std::string>> clear_errors;  // from the initiator; notification
    std::vector<std::string> notifies;                       // decrypted ones of phase 1
    std::vector<std::string> vendors;
    bool key_known = false;
    bool key_wrong = false;
    std::map<MessageId, Phase2> phase2;
  };
  [[nodiscard]] const Facts& facts() const { return facts_; }

 private:
  void note_phase1(const Seen& seen, const Endpoint& from, const Endpoint& to);
  void learn(const Seen& seen, const Endpoint& from, const Endpoint& to);
  void read_clear(Seen& seen, ByteView body);
  void decrypt(Seen& seen, ByteView body, std::uint64_t packet);
  [[nodiscard]] Bytes* iv_for(const Seen& seen, std::uint64_t packet, std::string& obstacle);
  [[nodiscard]] const SecretBytes* key() const;
  [[nodiscard]] Phase2* phase2_of(const wire::Header& header, std::uint64_t packet, bool from_initiator);
  void note_phase2(const Seen& seen, std::uint64_t packet);
  Seen take_whole(std::uint64_t packet, const Endpoint& from, const Endpoint& to, const wire::Header& header,
                  ByteView datagram, bool from_initiator);

  const capture::KeyTables& tables_;
  Facts facts_;
  Cookie responder_cookie_{};
  std::optional<Phase1Choice> choice_;
  Bytes ke_initiator_;
  Bytes ke_responder_;
  Bytes iv_;  // phase 1's: the last block of its last encrypted message; empty: not known
  std::map<Bytes, std::uint64_t> seen_;  // digests, with the packet
  std::deque<Bytes> seen_order_;
  ike::Reassembly from_initiator_;
  ike::Reassembly from_responder_;
};

}  // namespace oakgate::decode
