// The control socket: a Unix stream socket, JSON lines both ways. Its permissions say who may come in; who is
// not root may look only (control_protocol's table of verbs). Every bound is here: line length, clients,
// requests under way, what a client that does not read may leave waiting.
#pragma once

#include <event2/bufferevent.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "daemon/control_protocol.h"
#include "daemon/loop.h"
#include "ike/base/secret.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

using ClientId = std::uint64_t;

struct ControlLimits {
  std::size_t clients = 32;
  std::size_t lookers = 24;              // of them, those that may only look: root gets in whoever watches
  std::size_t requests_per_client = 16;  // not yet answered
  std::size_t backlog = 1U << 20;  // bytes a client has not read when it asks for more, or gets an event
  Seconds idle{60};                // without a request under way
  Seconds slow{30};                // with something to read that it does not
};

// Of the process that has connected, as it was then: unix(7), SO_PEERCRED.
struct ClientCredentials {
  std::uint32_t uid = 0;
  std::int32_t pid = 0;
};

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  // To be answered with ControlServer::answer, now or later.
  virtual void on_request(ClientId client, const ControlRequest& request) = 0;
  virtual void on_gone(ClientId client) = 0;
};

class ControlServer {
 public:
  // Takes the place of a socket that a dead daemon left; the caller holds the lock beside it. Mode 0660, of
  // this process's group or of `group`.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> open(Loop& loop, const std::string& path,
                                                                   const ControlLimits& limits = {},
                                                                   const std::string& group = {});
  // Users who may change what runs, besides root and this process's. Of those who connect from now on.
  void let_change(std::set<uid_t> users) { changers_ = std::move(users); }
  // Lets clients in: once, before the loop runs.
  void serve(ControlHandler& handler);
  ~ControlServer();  // removes the socket
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // The end of one request. A client that is gone is no error.
  void answer(ClientId client, const std::string& line);
  // A line besides the answer; drops a client that lags behind.
  void stream(ClientId client, const std::string& line);
  // Likewise a line, with its line break, that is wiped once the kernel has it.
  void stream_secret(ClientId client, SecretBytes line);
  // Nothing: it is gone.
  [[nodiscard]] std::optional<ClientCredentials> credentials(ClientId client) const;
  // Bytes that wait for a client to read them; 0 if it is gone.
  [[nodiscard]] std::size_t unread(ClientId client) const;
  [[nodiscard]] Loop& loop() { return loop_; }
  // Hands what is waiting to the kernel, as far as it takes it without blocking: before the daemon ends.
  void flush();

 private:
  struct Client;
  ControlServer(Loop& loop, std::string path, const ControlLimits& limits);
  static void on_readable(bufferevent* buffer, void* client);
  static void on_event(bufferevent* buffer, short what, void* client);
  void accept_client();
  [[nodiscard]] const char* no_room_for(Right right) const;  // null: there is
  void read_lines(ClientId id);
  void take_line(Client& client, std::string_view line);
  void write_line(Client& client, const std::string& line);
  [[nodiscard]] bool lags(const Client& client) const;
  void drop(ClientId id);

  Loop& loop_;
  std::string path_;
  ControlHandler* handler_ = nullptr;
  ControlLimits limits_;
  std::set<uid_t> changers_;
  UniqueFd listener_;
  std::unique_ptr<Watch> accept_watch_;
  std::map<ClientId, std::unique_ptr<Client>> clients_;
  ClientId next_client_ = 1;
};

}  // namespace oakgate
