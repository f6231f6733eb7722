// The keys of the SAs that are in the data plane, remembered only while the configuration allows captures
// with keys: the data planes give none back. Secret; as many as the plane has SAs.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "daemon/capture/wireshark_tables.h"
#include "ike/ports/data_plane.h"

namespace oakgate::capture {

class SaKeyBook {
 public:
  // False: nothing is remembered any more, and what was is wiped.
  void remember(bool wanted);
  [[nodiscard]] bool remembers() const { return remembers_; }
  // ESP's: AH and IPComp hide nothing. Each new one goes to `also`.
  using Visit = std::function<void(const EspKeys&)>;
  void installed(std::span<const SaSpec> sas, const std::string& peer, const Visit& also);
  // Under its new addresses an SA is a new row of Wireshark's: it goes to `also`, with its peer.
  using VisitMoved = std::function<void(const std::string& peer, const EspKeys&)>;
  void moved(std::span<const SaMove> sas, const VisitMoved& also);
  void gone(std::span<const SaId> sas);
  void each_of(const std::string& peer, const Visit& visit) const;
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  struct Entry {
    std::string peer;
    Direction direction{};
    EspKeys keys;
  };
  std::map<SaId, Entry> keys_;
  bool remembers_ = false;
};

}  // namespace oakgate::capture
