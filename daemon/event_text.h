// The one table that makes text of the core's events: level, line, IOS phrase. Log, `oakgate monitor` and the
// hints of `oakgate up` all read it here.
//
// What came from a peer is escaped and cut, so a line is one line whatever was on the wire.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/log.h"
#include "ike/events.h"

namespace oakgate {

struct EventRow {
  ike::EventId id;
  LogLevel level;
  // {peer} {tunnel} {local} {remote} {address} (the remote one without its port), and the event's own fields.
  // Fields that the format does not name follow in brackets, the error behind a colon.
  std::string_view format;
};

// In the order of EventId, every one of them.
[[nodiscard]] std::span<const EventRow> event_table();
[[nodiscard]] const EventRow& event_row(ike::EventId id);

// "[branch-7/lan] phase2-established: IPSEC: ...": begins with whom it is about. Unknown peers are named by
// address.
[[nodiscard]] std::string event_text(const ike::Event& event);

// The same without its beginning: "IPSEC: ...".
[[nodiscard]] std::string event_words(const ike::Event& event);

// "branch-7/lan", "branch-7", "192.0.2.9:500", or "-" where nobody is known.
[[nodiscard]] std::string event_subject(const ike::Event& event);

// A field's value for people and programs: escaped, SPIs as "0x1925112f".
[[nodiscard]] std::string field_text(const ike::Field& field);

// What oakgated(8) lists under LOG: MESSAGE_ID, OAKGATE_EVENT and OAKGATE_SUBJECT, who it is about as far as
// that is known, the error, and the event's own fields: OAKGATE_REASON, OAKGATE_SPI_IN. Each name once.
[[nodiscard]] std::vector<LogField> event_log_fields(const ike::Event& event);

}  // namespace oakgate
