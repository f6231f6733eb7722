// The daemon's part of `oakgate capture`: whose packets they are, for how long, and the keys that decrypt
// them. The client opens the packet socket and the files with rights of its own; nothing that a client names
// is opened here. By default nothing is allowed (`gateway: capture:`).
//
// Keys leave the daemon here and nowhere else: as lines of Wireshark's tables, while a capture runs, to the
// client that asked, which may change things (Right::change). Who asked is in the log.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "conf/config.h"
#include "daemon/capture/key_watch.h"
#include "daemon/capture/sa_key_book.h"
#include "daemon/control_server.h"
#include "daemon/log.h"
#include "ike/decryption_keys.h"
#include "ike/snapshot.h"

namespace oakgate::capture {

class Captures final : public KeyWatch {
 public:
  static constexpr std::size_t kMost = 8;           // at a time
  static constexpr std::size_t kMaxAddresses = 64;  // of one peer
  struct Parts {
    Loop& loop;
    const Log& log;
    ControlServer& server;
    std::function<const conf::Config&()> config;
    std::function<std::vector<ike::DecryptionKey>(const std::string& peer)> keys;
    std::function<std::vector<ike::PeerSnapshot>(const std::string& peer)> snapshot;
  };
  explicit Captures(Parts parts);

  // The peer is one of the configuration's. Answers when the capture ends, or is refused.
  void begin(ClientId client, const ControlRequest& request);
  void client_gone(ClientId client);
  // The configuration is another one: what it allows no more ends.
  void configure();

  void installed(std::span<const SaSpec> sas, const std::string& peer) override;
  void moved(std::span<const SaMove> sas) override;
  void gone(std::span<const SaId> sas) override;
  void core_worked() override;

 private:
  struct Capture {
    ClientId client;
    std::uint64_t request;
    std::string peer;
    std::string whom;  // "uid 0, pid 812"
    Instant begun{};
    Instant end{};
    bool with_keys = false;
    std::vector<AddressRange> addresses;
    std::set<std::pair<CookiePair, bool>> told;  // ISAKMP SAs; whether phase 1 was over
    std::size_t ike_keys = 0;
    std::size_t esp_keys = 0;
    bool over = false;  // to be erased
  };
  // Telling a client something may end it, and its capture with it: what is over is erased, and the timer
  // armed, when the last Walk ends.
  class Walk {
   public:
    explicit Walk(Captures& captures) : captures_(captures) { ++captures_.walks_; }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    ~Walk() {
      if (--captures_.walks_ == 0) captures_.sweep();
    }

   private:
    Captures& captures_;
  };
  [[nodiscard]] Result<void> allowed() const;
  [[nodiscard]] std::vector<AddressRange> addresses_of(const std::string& peer) const;
  void tell_ike_keys(Capture& capture);
  void tell_esp_key(Capture& capture, const EspKeys& keys);
  void tell_line(const Capture& capture, std::string_view table, const SecretBytes& line);
  void end(Capture& capture, const std::string& why, bool answer);
  void end_those_due();
  void sweep();

  Parts parts_;
  SaKeyBook book_;
  std::vector<Capture> captures_;
  int walks_ = 0;
  Timer timer_;
};

}  // namespace oakgate::capture
