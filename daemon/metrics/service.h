// Metrics as a part of the daemon: what is counted as it happens, and the answers made of it and of the
// core's state. The counting goes on whether or not `gateway.metrics` has somebody ask.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "daemon/core_driver.h"
#include "daemon/metrics/exposition.h"
#include "daemon/metrics/server.h"

namespace oakgate::metrics {

// Fed by the driver (SAs), the event log (events) and the daemon (the rest), before anybody asks.
struct Counts {
  TunnelTraffic traffic;
  EventTally events;
  Reloads reloads;
};

class Service {
 public:
  struct Parts {
    Loop& loop;
    const Log& log;
    CoreDriver& driver;
    DataPlane& plane;
    Counts& counts;
    std::function<const conf::Config&()> config;
    std::string version;
    WallTime started{};
    std::function<std::vector<Queue>()> queues{};
    std::function<std::vector<CertificateEnd>()> certificates{};
    std::function<std::vector<CrlEnd>()> crls{};
  };
  static constexpr std::size_t kPeersAPiece = 100;

  explicit Service(Parts parts) : parts_(std::move(parts)) {}

  // Where the configuration says, if that has changed: opens, closes or moves the server.
  [[nodiscard]] Result<void> configure(const std::optional<conf::MetricsAddress>& address);
  [[nodiscard]] const Server* server() const { return server_.get(); }
  [[nodiscard]] std::unique_ptr<Answer> begin() const;

 private:
  class Scrape;
  [[nodiscard]] GatewayFacts facts() const;

  Parts parts_;
  std::optional<conf::MetricsAddress> address_;
  std::unique_ptr<Server> server_;
};

}  // namespace oakgate::metrics
