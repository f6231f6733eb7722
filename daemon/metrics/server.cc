#include "daemon/metrics/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/metrics/openmetrics.h"
#include "daemon/sockaddr.h"
#include "daemon/unix_listener.h"

namespace oakgate::metrics {

namespace {

constexpr std::string_view kPath = "/metrics";
constexpr int kBacklog = 16;
constexpr Milliseconds kSweep{100};

struct BufferFree {
  void operator()(evbuffer* buffer) const { evbuffer_free(buffer); }
};
using Buffer = std::unique_ptr<evbuffer, BufferFree>;

Result<UniqueFd> listen_at(const Endpoint& endpoint) {
  const auto error = [&](const std::string& what) {
    return fail(ErrorCode::in_use, fmt::format("metrics on {}: {}", endpoint.to_string(), what),
                "an address and port oakgated may listen on", "choose another one for `gateway.metrics`");
  };
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return error(std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const SocketAddress address = to_socket_address(endpoint);
  if (::bind(fd.get(), address.get(), address.length) != 0) return error(std::strerror(errno));
  if (::listen(fd.get(), kBacklog) != 0) return error(std::strerror(errno));
  return fd;
}

std::uint16_t port_of(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.length) != 0) return 0;
  const auto endpoint = from_socket_address(address.storage);
  return endpoint ? endpoint->port : 0;
}

void header(evhttp_request* request, const char* name, const std::string& value) {
  evhttp_add_header(evhttp_request_get_output_headers(request), name, value.c_str());
}

void refuse(evhttp_request* request, int code, const char* reason) {
  header(request, "Connection", "close");
  if (code == HTTP_BADMETHOD) header(request, "Allow", "GET, HEAD");
  header(request, "Content-Type", "text/plain; charset=utf-8");
  const Buffer body(evbuffer_new());
  if (body) evbuffer_add_printf(body.get(), "%s\n", reason);
  evhttp_send_reply(request, code, reason, body.get());
}

}  // namespace

// evhttp tells nobody of a connection that ends. So each buffer is held by a reference of ours, and with it
// the descriptor: one whose callbacks evhttp has taken away has ended (evhttp shuts it down, which is what
// the client sees), and is closed at the next sweep.
struct Server::Connection {
  bufferevent* buffer;
  Instant since;
};

struct Server::Reply {
  Reply(Server& of, evhttp_request* to, std::unique_ptr<Answer> with)
      : server(of), request(to), answer(std::move(with)), next(of.loop_, [this] { server.go_on(*this); }) {}
  Server& server;
  evhttp_request* request;
  std::unique_ptr<Answer> answer;
  Timer next;
};

void Server::HttpFree::operator()(evhttp* http) const {
  evhttp_free(http);
}

Server::Server(Loop& loop, Begin begin, const ServerLimits& limits, std::string path)
    : loop_(loop),
      begin_(std::move(begin)),
      limits_(limits),
      path_(std::move(path)),
      sweep_timer_(loop, [this] { sweep(); }) {}

Server::~Server() {
  http_.reset();  // ends the connections, and by that the replies
  replies_.clear();
  for (const Connection& connection : connections_) bufferevent_decref(connection.buffer);
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<Server>> Server::open(Loop& loop, const conf::MetricsAddress& address, Begin begin,
                                             const ServerLimits& limits) {
  auto listener = address.socket.empty()
                      ? listen_at(address.endpoint)
                      : listen_at_path({"metrics socket", "gateway.metrics"}, address.socket, kBacklog);
  if (!listener) return fail(std::move(listener.error()));
  std::unique_ptr<Server> server(new Server(loop, std::move(begin), limits, address.socket));
  if (auto listening = server->listen(*listener); !listening) return fail(std::move(listening.error()));
  return server;
}

Result<void> Server::listen(const UniqueFd& fd) {
  port_ = port_of(fd.get());
  http_.reset(evhttp_new(loop_.base()));
  // The server closes the descriptor it is given.
  const int own = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  evhttp_bound_socket* bound = http_ ? evhttp_accept_socket_with_handle(http_.get(), own) : nullptr;
  if (bound == nullptr) {
    ::close(own);
    return fail(ErrorCode::internal, "libevent makes no HTTP server");
  }
  listener_ = evhttp_bound_socket_get_listener(bound);
  evhttp_set_bevcb(http_.get(), on_connection, this);
  evhttp_set_gencb(http_.get(), on_request, this);
  // What is not in this set evhttp answers itself; of those in it all but two are refused below, in words.
  evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                              EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
  evhttp_set_max_headers_size(http_.get(), static_cast<ev_ssize_t>(limits_.header_bytes));
  evhttp_set_max_body_size(http_.get(), 1024);  // which nobody reads
  evhttp_set_timeout(http_.get(), static_cast<int>(limits_.idle.count()));
  return {};
}

bufferevent* Server::on_connection(event_base* base, void* server) {
  auto* self = static_cast<Server*>(server);
  bufferevent* buffer = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
  if (buffer == nullptr) return nullptr;
  bufferevent_incref(buffer);
  self->connections_.push_back({buffer, read_clocks().instant});
  if (self->connections_.size() >= self->limits_.connections) self->sweep();
  self->sweep_timer_.arm(kSweep);
  return buffer;
}

// A connection's whole life is bounded, too: who sends a byte now and then is never idle.
void Server::sweep() {
  const Instant now = read_clocks().instant;
  for (auto connection = connections_.begin(); connection != connections_.end();) {
    bufferevent_event_cb on_event = nullptr;
    bufferevent_getcb(connection->buffer, nullptr, nullptr, &on_event, nullptr);
    // The newest may not have been given to evhttp yet.
    const bool ended = on_event == nullptr && now - connection->since >= kSweep;
    if (ended) {
      bufferevent_decref(connection->buffer);
      connection = connections_.erase(connection);
      continue;
    }
    if (on_event != nullptr && now - connection->since > limits_.whole)
      ::shutdown(bufferevent_getfd(connection->buffer), SHUT_RDWR);  // evhttp sees its end
    ++connection;
  }
  if (connections_.size() >= limits_.connections) {
    evconnlistener_disable(listener_);
  } else {
    evconnlistener_enable(listener_);
  }
  if (!connections_.empty()) sweep_timer_.arm(kSweep);
}

void Server::on_request(evhttp_request* request, void* server) {
  static_cast<Server*>(server)->take(request);
}

void Server::take(evhttp_request* request) {
  const evhttp_cmd_type command = evhttp_request_get_command(request);
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  const char* path = uri == nullptr ? nullptr : evhttp_uri_get_path(uri);
  if (path == nullptr || path != kPath) {
    refuse(request, HTTP_NOTFOUND, "Only /metrics is here");
  } else if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
    refuse(request, HTTP_BADMETHOD, "Only GET and HEAD");
  } else if (replies_.size() >= limits_.answers) {
    refuse(request, HTTP_SERVUNAVAIL, "Too many answers are under way");
  } else {
    begin_reply(request);
  }
}

void Server::begin_reply(evhttp_request* request) {
  header(request, "Content-Type", std::string(kContentType));
  header(request, "Connection", "close");
  if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
    evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
    return;
  }
  evhttp_connection* connection = evhttp_request_get_connection(request);
  const timeval whole{limits_.whole.count(), 0};
  const timeval idle{limits_.idle.count(), 0};
  // It is we who are waited for.
  bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), &whole, &idle);
  Reply& reply = *replies_.emplace_back(std::make_unique<Reply>(*this, request, begin_()));
  evhttp_connection_set_closecb(connection, on_closed, &reply);
  evhttp_send_reply_start(request, HTTP_OK, "OK");
  reply.next.arm(Milliseconds(0));
}

void Server::go_on(Reply& reply) {
  const Buffer piece(evbuffer_new());
  std::string text;
  const Answer::Step step = reply.answer->make(text, limits_.piece);
  if (!text.empty() && piece) {
    evbuffer_add(piece.get(), text.data(), text.size());
    evhttp_send_reply_chunk_with_cb(reply.request, piece.get(), on_sent, &reply);
  } else if (step == Answer::Step::more) {
    reply.next.arm(Milliseconds(0));
  }
  if (step == Answer::Step::more) return;
  evhttp_request* request = reply.request;
  evhttp_connection_set_closecb(evhttp_request_get_connection(request), nullptr, nullptr);
  forget(reply);
  evhttp_send_reply_end(request);
}

void Server::on_sent(evhttp_connection* /*connection*/, void* reply) {
  static_cast<Reply*>(reply)->next.arm(Milliseconds(0));
}

// The client has gone, or the server goes.
void Server::on_closed(evhttp_connection* /*connection*/, void* reply) {
  auto* self = static_cast<Reply*>(reply);
  evhttp_request* request = self->request;
  self->server.forget(*self);
  // A request that is cut off from its connection is ours to end; else evhttp frees it with the connection.
  if (evhttp_request_get_connection(request) == nullptr) evhttp_send_reply_end(request);
}

void Server::forget(const Reply& reply) {
  replies_.remove_if([&](const std::unique_ptr<Reply>& one) { return one.get() == &reply; });
}

}  // namespace oakgate::metrics
