// The journal's fixed MESSAGE_IDs, and what its catalogue says of each (`journalctl -x`): one table, a row
// for each kind of event of the core, and for each message of the daemon's own that an operator may wait for.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/log.h"
#include "ike/events.h"

namespace oakgate {

enum class DaemonMessage : std::uint8_t {
  ready,
  stopping,
  ended,
  reloaded,
  reload_refused,
  reload_unconfirmed,
  reload_undone,
  configuration_refused,
  suppressed,
};
inline constexpr DaemonMessage kLastDaemonMessage = DaemonMessage::suppressed;

struct MessageRow {
  std::string_view name;     // OAKGATE_EVENT
  std::string_view id;       // MESSAGE_ID: 32 hexadecimal digits
  std::string_view subject;  // a line; @FIELD@ stands for a field that every such message has
  std::string_view text;     // what it means, and what to do
};

// Those of EventId in its order, then those of DaemonMessage.
[[nodiscard]] std::span<const MessageRow> message_table();
[[nodiscard]] const MessageRow& message_row(ike::EventId id);
[[nodiscard]] const MessageRow& message_row(DaemonMessage message);

// MESSAGE_ID and OAKGATE_EVENT.
[[nodiscard]] std::vector<LogField> message_fields(const MessageRow& row);
void tell(const Log& log, LogLevel level, DaemonMessage message, std::string_view text);

// The file for /usr/lib/systemd/catalog, of all rows.
[[nodiscard]] std::string message_catalog();

}  // namespace oakgate
