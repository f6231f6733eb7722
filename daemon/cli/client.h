// The client's end of the control socket: one connection, one request at a time, every wait bounded.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daemon/control_protocol.h"
#include "ike/base/types.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::cli {

// Why `oakgate` ends with another code than 0. `more` is what the daemon added to the error (issues, say).
struct Failure {
  Exit exit = Exit::failed;
  std::string code;  // the stable word: an ErrorCode's, "usage" or "unreachable"
  std::string text;
  std::string expected;
  std::string remedy;
  Json more = nullptr;
};
template <typename T>
using Outcome = tl::expected<T, Failure>;

[[nodiscard]] Json failure_json(const Failure& failure);
[[nodiscard]] Failure failure_of(const Error& error);

class ControlClient {
 public:
  // Failure::exit is Exit::unreachable; the text says which socket, and what is likely the matter.
  [[nodiscard]] static Outcome<ControlClient> connect(const std::string& path);

  using OnEvent = std::function<void(const Json& event)>;
  // Sends the request and waits for its answer, at most `patience` (0: for ever) since the last line of the
  // daemon. Events that come before the answer go to `on_event`.
  [[nodiscard]] Outcome<Json> request(const ControlRequest& request, Seconds patience,
                                      const OnEvent& on_event = {});
  // A request that goes on for long, beside other work: sends it. What comes then is taken by take() whenever
  // fd() is readable.
  [[nodiscard]] Outcome<void> begin(const ControlRequest& request, Seconds patience);
  struct Line {
    bool last = false;  // the answer, which ends the request; else an event
    Json json;
  };
  // Without waiting; nothing: no whole line is here yet. The daemon's error, or its end, is the failure.
  [[nodiscard]] Outcome<std::optional<Line>> take();
  [[nodiscard]] int fd() const { return fd_.get(); }
  // After a `monitor` request: events until the daemon ends the connection, which is the failure returned.
  [[nodiscard]] Failure follow(const OnEvent& on_event);

 private:
  ControlClient(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Outcome<void> send_line(const std::string& line, Seconds patience);
  [[nodiscard]] Outcome<Json> read_line(Seconds patience);
  // Of what is received the first line, if it is whole; `searched` bytes of it have no line break.
  [[nodiscard]] Outcome<std::optional<Json>> next_line(std::size_t searched);
  [[nodiscard]] Outcome<bool> receive();  // false: nothing is there now
  [[nodiscard]] Failure broken(const std::string& what) const;

  UniqueFd fd_;
  std::string path_;
  std::string received_;
};

}  // namespace oakgate::cli
