// The HTTP side of metrics, by libevent's evhttp: GET or HEAD of /metrics and nothing else, on a Unix socket
// or a loopback address. An answer is made and sent a piece at a time, the next when the one before has gone
// out, so that neither a large answer nor a client that reads slowly holds up the loop. Connections, answers,
// sizes and times are bounded; each connection serves one request.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "conf/config.h"
#include "daemon/loop.h"
#include "xfrm/netlink/unique_fd.h"

struct bufferevent;
struct event_base;
struct evconnlistener;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;

namespace oakgate::metrics {

struct ServerLimits {
  std::size_t connections = 16;  // more wait in the listener's queue until one has ended
  std::size_t answers = 4;       // at once; more are told 503
  Seconds idle{10};              // without a byte read or written
  Seconds whole{60};             // a connection's life
  std::size_t header_bytes = 8192;
  std::size_t piece = 65536;
};

// Makes one answer; each call does a bounded amount of work.
class Answer {
 public:
  virtual ~Answer() = default;
  enum class Step { more, done };
  // May append nothing yet.
  [[nodiscard]] virtual Step make(std::string& text, std::size_t about) = 0;
};

class Server {
 public:
  using Begin = std::function<std::unique_ptr<Answer>()>;
  // A Unix socket's file is made anew, for root and its group; one that something else than a socket stands
  // for is an error, as is an address that somebody else has.
  [[nodiscard]] static Result<std::unique_ptr<Server>> open(Loop& loop, const conf::MetricsAddress& address,
                                                            Begin begin, const ServerLimits& limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }  // of an address

 private:
  struct Connection;
  struct Reply;
  struct HttpFree {
    void operator()(evhttp* http) const;
  };
  Server(Loop& loop, Begin begin, const ServerLimits& limits, std::string path);

  [[nodiscard]] Result<void> listen(const UniqueFd& fd);
  [[nodiscard]] static bufferevent* on_connection(event_base* base, void* server);
  static void on_request(evhttp_request* request, void* server);
  void take(evhttp_request* request);
  void begin_reply(evhttp_request* request);
  void go_on(Reply& reply);
  static void on_sent(evhttp_connection* connection, void* reply);
  static void on_closed(evhttp_connection* connection, void* reply);
  void forget(const Reply& reply);
  void sweep();

  Loop& loop_;
  Begin begin_;
  ServerLimits limits_;
  std::string path_;  // to be removed at the end; empty: none
  std::uint16_t port_ = 0;
  std::list<Connection> connections_;
  std::list<std::unique_ptr<Reply>> replies_;
  Timer sweep_timer_;
  evconnlistener* listener_ = nullptr;  // http_'s
  std::unique_ptr<evhttp, HttpFree> http_;
};

}  // namespace oakgate::metrics
