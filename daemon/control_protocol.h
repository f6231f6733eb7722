// The control protocol, version 1: requests and answers as JSON lines. oakgate-control(7) is its
// documentation. Parsing and printing only; control_server carries the lines, control_verbs acts on them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/facility.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "ike/ports/data_plane.h"

namespace oakgate {

// Members stay in the order in which they are written: people read this too.
using Json = nlohmann::ordered_json;

inline constexpr int kControlVersion = 1;
inline constexpr std::size_t kMaxRequestLine = 4096;
inline constexpr std::size_t kMaxTarget = 512;
inline constexpr std::uint32_t kMaxConnection = 0x7fffffff;
inline constexpr Seconds kMinConfirm{5};
inline constexpr Seconds kMaxConfirm{86400};
inline constexpr Seconds kDefaultCapture{60};
inline constexpr Seconds kMaxCapture{3600};

enum class ControlVerb : std::uint8_t {
  status,
  up,
  down,
  reload,
  monitor,
  show_isakmp_sa,
  show_ipsec_sa,
  show_crypto_engine,
  show_dropped_packets,
  refresh_keys,
  request_crls,
  confirm,
  show_running_config,
  explain,
  capture,
  check,
  clear_sas,
  clear_counters,
  clear_isakmp,
  clear_connection,
  debug,
  show_debug,
};
inline constexpr ControlVerb kLastControlVerb = ControlVerb::show_debug;
[[nodiscard]] std::string_view to_string(ControlVerb verb);
// A file in the folder where configurations come in (`ssh: files`): a name, no path; no `.` first.
[[nodiscard]] bool is_staged_name(std::string_view name);

// What a client of the control socket may do: root, whoever oakgated runs as, and the users of `ssh: change`
// everything; others whom the socket's permissions let in may look.
enum class Right : std::uint8_t { look, change };
[[nodiscard]] Right right_for(ControlVerb verb);
// ErrorCode::not_permitted, for a client that may only look.
[[nodiscard]] Error only_looks(ControlVerb verb);

// Exit codes of `oakgate`, and what `error.exit` carries.
enum class Exit : int { done = 0, failed = 1, usage = 2, unreachable = 3, configuration = 4, not_found = 5 };
[[nodiscard]] Exit exit_for(ErrorCode code);

struct ControlRequest {
  std::uint64_t id = 0;
  ControlVerb verb{};
  std::string peer;    // empty: all; of `clear` and `debug` an address, too
  std::string tunnel;  // empty: all of the peer
  std::string trustpoint;
  std::string file;     // check, reload: one that has come in, instead of the configuration's; is_staged_name
  bool detail = false;  // status: more than the stable interface
  bool progress = false;             // up, down: events of the peer before the answer
  std::optional<Seconds> confirm{};  // reload: undone after so long unless it is confirmed
  std::optional<Seconds> seconds{};  // capture: how long; none: kDefaultCapture
  bool keys = false;                 // capture: those that decrypt it, too
  std::optional<SaId> sa{};          // clear_sas: the one that goes, with those negotiated with it
  std::uint32_t connection = 0;      // clear_isakmp, clear_connection: IOS's number of an SA; 0: all
  Facility facility{};               // debug
};

// Why a line is not a request; `id` is what the answer carries, 0 if the line gives none.
struct BadRequest {
  std::uint64_t id = 0;
  Error error;
};

[[nodiscard]] tl::expected<ControlRequest, BadRequest> parse_request(std::string_view line);
[[nodiscard]] Json request_json(const ControlRequest& request);

// Lines without their line break. Whatever is not UTF-8 is replaced: printing never fails.
[[nodiscard]] std::string answer_line(std::uint64_t id, const Json& result);
[[nodiscard]] std::string answer_line_of_text(std::uint64_t id, std::string_view result);  // `result` is JSON
[[nodiscard]] std::string error_line(std::uint64_t id, const Error& error, const Json& more = {});
[[nodiscard]] std::string event_line(std::uint64_t id, const Json& event);
[[nodiscard]] std::string dump(const Json& json);

// {"code","text","expected","remedy","exit"}
[[nodiscard]] Json error_json(const Error& error);

}  // namespace oakgate
