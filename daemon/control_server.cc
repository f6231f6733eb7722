#include "daemon/control_server.h"

#include <event2/buffer.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "daemon/unix_listener.h"

namespace oakgate {

namespace {

constexpr int kBacklog = 16;

// Of whoever has connected. One that cannot be asked for may only look.
Right right_of(int fd, const std::set<uid_t>& changers) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return Right::look;
  return peer.uid == 0 || peer.uid == ::geteuid() || changers.contains(peer.uid) ? Right::change
                                                                                 : Right::look;
}

struct BufferFree {
  void operator()(bufferevent* buffer) const { bufferevent_free(buffer); }
};

struct TextFree {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

struct ControlServer::Client {
  ControlServer* server;
  ClientId id;
  UniqueFd fd;  // outlives its buffer
  std::unique_ptr<bufferevent, BufferFree> buffer;
  Right right;
  std::size_t under_way = 0;
};

Result<std::unique_ptr<ControlServer>> ControlServer::open(Loop& loop, const std::string& path,
                                                           const ControlLimits& limits,
                                                           const std::string& group) {
  Result<UniqueFd> listener = listen_at_path({"control socket", "gateway.control_socket"}, path, kBacklog);
  if (!listener) return fail(std::move(listener.error()));
  std::unique_ptr<ControlServer> server(new ControlServer(loop, path, limits));
  server->listener_ = std::move(*listener);
  if (group.empty()) return server;
  if (auto given = give_to_group({"control socket", "gateway.control_group"}, path, group); !given)
    return fail(std::move(given.error()));
  return server;
}

void ControlServer::serve(ControlHandler& handler) {
  handler_ = &handler;
  accept_watch_ = Watch::readable(loop_, listener_.get(), [this] { accept_client(); });
}

ControlServer::ControlServer(Loop& loop, std::string path, const ControlLimits& limits)
    : loop_(loop), path_(std::move(path)), limits_(limits) {}

ControlServer::~ControlServer() {
  ::unlink(path_.c_str());
}

const char* ControlServer::no_room_for(Right right) const {
  if (clients_.size() >= limits_.clients) return "too many clients of the control socket";
  if (right == Right::change) return nullptr;
  const auto lookers = std::count_if(clients_.begin(), clients_.end(),
                                     [](const auto& one) { return one.second->right == Right::look; });
  return static_cast<std::size_t>(lookers) < limits_.lookers
             ? nullptr
             : "too many clients of the control socket that are not root's";
}

void ControlServer::accept_client() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  const Right right = right_of(fd.get(), changers_);
  if (const char* full = no_room_for(right)) {
    const std::string line =
        error_line(0,
                   Error{ErrorCode::in_use,
                         full,
                         fmt::format("at most {}, {} of them not root's", limits_.clients, limits_.lookers),
                         "end some of them",
                         {}}) +
        "\n";
    ::send(fd.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  bufferevent* buffer = bufferevent_socket_new(loop_.base(), fd.get(), 0);
  if (buffer == nullptr) return;
  const ClientId id = next_client_++;
  auto client = std::make_unique<Client>(Client{this, id, std::move(fd), {}, right, 0});
  client->buffer.reset(buffer);
  bufferevent_setcb(buffer, on_readable, nullptr, on_event, client.get());
  // Reading stops at one byte more than the longest line.
  bufferevent_setwatermark(buffer, EV_READ, 0, kMaxRequestLine + 2);
  const timeval idle{limits_.idle.count(), 0};
  const timeval slow{limits_.slow.count(), 0};
  bufferevent_set_timeouts(buffer, &idle, &slow);
  bufferevent_enable(buffer, EV_READ | EV_WRITE);
  clients_.emplace(id, std::move(client));
}

void ControlServer::on_readable(bufferevent* /*buffer*/, void* client) {
  const auto* self = static_cast<Client*>(client);
  self->server->read_lines(self->id);
}

void ControlServer::on_event(bufferevent* buffer, short what, void* client) {
  const auto* self = static_cast<Client*>(client);
  if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0 && self->under_way > 0) {
    bufferevent_enable(buffer, EV_READ);  // it waits for us, not we for it
    return;
  }
  self->server->drop(self->id);
}

void ControlServer::read_lines(ClientId id) {
  while (true) {
    const auto found = clients_.find(id);  // each request may have ended its client
    if (found == clients_.end()) return;
    Client& client = *found->second;
    evbuffer* input = bufferevent_get_input(client.buffer.get());
    std::size_t length = 0;
    const std::unique_ptr<char, TextFree> line(evbuffer_readln(input, &length, EVBUFFER_EOL_LF));
    if (line) {
      take_line(client, {line.get(), length});
      continue;
    }
    if (evbuffer_get_length(input) <= kMaxRequestLine) return;
    write_line(client, error_line(0, Error{ErrorCode::malformed,
                                           "the line is too long",
                                           fmt::format("at most {} bytes", kMaxRequestLine),
                                           "see oakgate-control(7)",
                                           {}}));
    flush();
    drop(id);
    return;
  }
}

void ControlServer::take_line(Client& client, std::string_view line) {
  if (lags(client)) {
    drop(client.id);
    return;
  }
  const auto request = parse_request(line);
  if (!request) {
    write_line(client, error_line(request.error().id, request.error().error));
    return;
  }
  if (right_for(request->verb) > client.right) {
    write_line(client, error_line(request->id, only_looks(request->verb)));
    return;
  }
  if (client.under_way >= limits_.requests_per_client) {
    write_line(client, error_line(request->id, Error{ErrorCode::in_use,
                                                     "too many requests under way",
                                                     fmt::format("at most {}", limits_.requests_per_client),
                                                     "wait for answers",
                                                     {}}));
    return;
  }
  ++client.under_way;
  handler_->on_request(client.id, *request);
}

void ControlServer::write_line(Client& client, const std::string& line) {
  evbuffer* output = bufferevent_get_output(client.buffer.get());
  evbuffer_add(output, line.data(), line.size());
  evbuffer_add(output, "\n", 1);
}

std::size_t ControlServer::unread(ClientId client) const {
  const auto found = clients_.find(client);
  return found == clients_.end() ? 0
                                 : evbuffer_get_length(bufferevent_get_output(found->second->buffer.get()));
}

bool ControlServer::lags(const Client& client) const {
  return evbuffer_get_length(bufferevent_get_output(client.buffer.get())) > limits_.backlog;
}

void ControlServer::answer(ClientId client, const std::string& line) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  if (found->second->under_way > 0) --found->second->under_way;
  write_line(*found->second, line);
}

void ControlServer::stream(ClientId client, const std::string& line) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  if (lags(*found->second)) {
    drop(client);
    return;
  }
  write_line(*found->second, line);
}

void ControlServer::stream_secret(ClientId client, SecretBytes line) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  if (lags(*found->second)) {
    drop(client);
    return;
  }
  auto* kept = new SecretBytes(std::move(line));
  const auto wiped = [](const void* /*data*/, std::size_t /*size*/, void* secret) {
    delete static_cast<SecretBytes*>(secret);
  };
  // Not copied into the buffer's own memory, which nobody wipes.
  if (evbuffer_add_reference(bufferevent_get_output(found->second->buffer.get()), kept->view().data(),
                             kept->size(), wiped, kept) != 0) {
    delete kept;
  }
}

std::optional<ClientCredentials> ControlServer::credentials(ClientId client) const {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return std::nullopt;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(found->second->fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return std::nullopt;
  return ClientCredentials{credentials.uid, credentials.pid};
}

void ControlServer::flush() {
  for (const auto& [id, client] : clients_) {
    evbuffer* output = bufferevent_get_output(client->buffer.get());
    // The buffer belongs to its bufferevent, which freezes the front while it is not writing itself.
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, bufferevent_getfd(client->buffer.get()));
    evbuffer_freeze(output, 1);
  }
}

void ControlServer::drop(ClientId id) {
  if (clients_.erase(id) > 0) handler_->on_gone(id);
}

}  // namespace oakgate
