#include "xfrm/netlink/netlink_socket.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

namespace oakgate {

namespace {

constexpr std::size_t kBatch = 64;           // acknowledgements that surely fit the default receive buffer
constexpr std::size_t kBatchOfQueries = 16;  // the same with an object beside each
constexpr timeval kPatience{5, 0};
constexpr std::string_view kNoAnswer = "no answer for 5 s";
constexpr int kDumps = 3;    // of one list, while changes or losses interrupt it
constexpr int kLosses = 16;  // of one dump: the kernel had no memory for a part

std::string_view family_name(NetlinkFamily family) {
  return family == NetlinkFamily::route ? "rtnetlink" : "XFRM netlink";
}

Error socket_error(std::string_view what, int error) {
  return netlink_error({error, {}}, what);
}

bool set_option(const mnl_socket* socket, int option, int value) {
  return mnl_socket_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

}  // namespace

Error netlink_error(const NetlinkAnswer& answer, std::string_view operation) {
  Error error;
  const std::string_view why = answer.error == EAGAIN ? kNoAnswer : strerror(answer.error);
  error.text = "cannot " + std::string(operation) + ": " + std::string(why);
  if (!answer.text.empty()) error.text += " (the kernel says: " + answer.text + ")";
  switch (answer.error) {
    case EPERM:
    case EACCES:
      error.code = ErrorCode::not_permitted;
      error.expected = "CAP_NET_ADMIN in this network namespace";
      error.remedy = "run oakgated as root or by its systemd unit";
      break;
    case EEXIST:
      error.code = ErrorCode::in_use;
      error.expected = "nothing of another program's in its place";
      error.remedy =
          "see whose it is (`ip xfrm state`, `ip xfrm policy`, `ip rule`, `ip link`), and remove it";
      break;
    case ESRCH:
    case ENOENT:
    case ENODEV:
    case ENETDOWN:
    case ENXIO:
      error.code = ErrorCode::not_found;
      error.expected = "what it names, in this network namespace";
      error.remedy = "see what has removed it";
      break;
    case ENOMEM:
    case ENOBUFS:
      error.code = ErrorCode::data_plane;
      error.expected = "memory for it in the kernel";
      error.remedy = "see what takes the kernel's memory (`slabtop`)";
      break;
    case EAGAIN:
      error.code = ErrorCode::data_plane;
      error.expected = "the kernel's answer at once";
      error.remedy = "see what keeps the kernel busy (`dmesg`, `top`)";
      break;
    default:
      error.code = ErrorCode::data_plane;
      error.expected = "a kernel that takes the request";
      error.remedy = "see what the kernel says of it (`dmesg`)";
      break;
  }
  return error;
}

void NetlinkSocket::Close::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

NetlinkSocket::NetlinkSocket(mnl_socket* socket)
    : socket_(socket), buffer_(std::make_unique<std::uint64_t[]>(kReceiveBytes / sizeof(std::uint64_t))) {}

int NetlinkSocket::fd() const {
  return mnl_socket_get_fd(socket_.get());
}

Result<NetlinkSocket> NetlinkSocket::open(NetlinkFamily family) {
  const int bus = family == NetlinkFamily::route ? NETLINK_ROUTE : NETLINK_XFRM;
  mnl_socket* raw = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (raw == nullptr) {
    Error error = socket_error("open a " + std::string(family_name(family)) + " socket", errno);
    if (errno == EPROTONOSUPPORT) error.expected = "a kernel with " + std::string(family_name(family));
    return fail(std::move(error));
  }
  NetlinkSocket socket(raw);
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) != 0)
    return fail(socket_error("bind a netlink socket", errno));
  // Echoed requests would carry keys back; the words of extended acks are worth having. Kernels since 4.12
  // have both.
  set_option(raw, NETLINK_CAP_ACK, 1);
  set_option(raw, NETLINK_EXT_ACK, 1);
  // The kernel itself filters dumps by what the request says (4.20): a gateway may hold a million routes.
  if (family == NetlinkFamily::route) set_option(raw, NETLINK_GET_STRICT_CHK, 1);
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  return socket;
}

Result<NetlinkSocket> NetlinkSocket::open_events(NetlinkFamily family, std::span<const unsigned> groups) {
  const int bus = family == NetlinkFamily::route ? NETLINK_ROUTE : NETLINK_XFRM;
  mnl_socket* raw = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (raw == nullptr) {
    return fail(socket_error("open a " + std::string(family_name(family)) + " socket", errno));
  }
  NetlinkSocket socket(raw);
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) != 0)
    return fail(socket_error("bind a netlink socket", errno));
  for (const unsigned group : groups) {
    if (!set_option(raw, NETLINK_ADD_MEMBERSHIP, static_cast<int>(group))) {
      return fail(socket_error("follow " + std::string(family_name(family)) + " events", errno));
    }
  }
  return socket;
}

int NetlinkSocket::read_datagram(const std::function<Next(const nlmsghdr&)>& each) {
  const ssize_t received = mnl_socket_recvfrom(socket_.get(), buffer_.get(), kReceiveBytes);
  if (received < 0) return errno;
  int left = static_cast<int>(received);
  const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.get());
  while (mnl_nlmsg_ok(message, left)) {
    if (each(*message) == Next::stop) break;
    message = mnl_nlmsg_next(message, &left);
  }
  wipe(buffer_.get(), static_cast<std::size_t>(received));
  return 0;
}

Result<void> NetlinkSocket::send(std::span<NetlinkMessage> messages) {
  std::vector<iovec> vectors;
  vectors.reserve(messages.size());
  for (NetlinkMessage& message : messages) {
    if (message.overflowed())
      return fail(ErrorCode::internal, "a netlink request is too long for its buffer");
    nlmsghdr& header = message.header();
    header.nlmsg_seq = ++sequence_;
    vectors.push_back({&header, header.nlmsg_len});
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr datagram{};
  datagram.msg_name = &kernel;
  datagram.msg_namelen = sizeof(kernel);
  datagram.msg_iov = vectors.data();
  datagram.msg_iovlen = vectors.size();
  while (sendmsg(fd(), &datagram, 0) < 0) {
    if (errno != EINTR) return fail(socket_error("send a netlink request", errno));
  }
  return {};
}

namespace {

NetlinkAnswer parse_answer(const nlmsghdr& message) {
  const auto* reply = netlink_header<nlmsgerr>(message);
  if (reply == nullptr) return {EBADMSG, {}};
  NetlinkAnswer answer{-reply->error, {}};
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return answer;
  // With NLM_F_CAPPED only the request's header is echoed; otherwise its whole body stands before the
  // attributes.
  std::size_t body = sizeof(nlmsgerr);
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) body += reply->msg.nlmsg_len - sizeof(nlmsghdr);
  answer.text = NetlinkAttributes(message, body).text(NLMSGERR_ATTR_MSG);
  return answer;
}

}  // namespace

Result<void> NetlinkSocket::collect(std::uint32_t first_sequence, std::span<NetlinkAnswer> answers,
                                    const NetlinkHandler& handler) {
  std::size_t missing = answers.size();
  while (missing != 0) {
    const int error = read_datagram([&](const nlmsghdr& message) {
      const std::uint32_t index = message.nlmsg_seq - first_sequence;
      if (index >= answers.size()) return Next::more;  // an answer to an earlier, abandoned request
      if (message.nlmsg_type == NLMSG_ERROR) {
        answers[index] = parse_answer(message);
        --missing;
      } else if (handler) {
        handler(message);
      }
      return Next::more;
    });
    if (error != 0 && error != EINTR) return fail(socket_error("read the kernel's netlink answer", error));
  }
  return {};
}

Result<std::vector<NetlinkAnswer>> NetlinkSocket::transact(std::span<NetlinkMessage> messages,
                                                           const NetlinkHandler& handler) {
  std::vector<NetlinkAnswer> answers(messages.size());
  const std::size_t batch = handler ? kBatchOfQueries : kBatch;
  for (std::size_t start = 0; start < messages.size(); start += batch) {
    const std::size_t count = std::min(batch, messages.size() - start);
    const auto part = messages.subspan(start, count);
    for (NetlinkMessage& message : part) message.header().nlmsg_flags |= NLM_F_ACK;
    const std::uint32_t first = sequence_ + 1;
    if (auto sent = send(part); !sent) return tl::unexpected(sent.error());
    auto collected = collect(first, std::span(answers).subspan(start, count), handler);
    if (!collected) return tl::unexpected(collected.error());
  }
  return answers;
}

Result<void> NetlinkSocket::request(NetlinkMessage& message, std::string_view operation,
                                    const NetlinkHandler& handler) {
  auto answers = transact({&message, 1}, handler);
  if (!answers) return tl::unexpected(answers.error());
  if (!answers->front().ok()) return fail(netlink_error(answers->front(), operation));
  return {};
}

namespace {

// A dump that the kernel could not go on with ends with an errno where otherwise the number of objects may
// stand.
NetlinkAnswer parse_end(const nlmsghdr& message) {
  const auto* error = netlink_header<int>(message);
  return {error != nullptr && *error < 0 ? -*error : 0, {}};
}

}  // namespace

// Gathers one dump's objects. A part that was lost does not end the dump in the kernel: it is read to its
// end, or the next one would find it under way (EBUSY).
Result<NetlinkSocket::Dumped> NetlinkSocket::dump_once(NetlinkMessage& message, std::string_view operation,
                                                       std::vector<SecretBytes>& objects) {
  message.header().nlmsg_flags |= NLM_F_DUMP;
  if (auto sent = send({&message, 1}); !sent) return tl::unexpected(sent.error());
  Dumped dumped = Dumped::whole;
  int losses = 0;
  bool done = false;
  NetlinkAnswer failure;
  while (!done) {
    const int error = read_datagram([&](const nlmsghdr& part) {
      if (part.nlmsg_seq != sequence_) return Next::more;
      if ((part.nlmsg_flags & NLM_F_DUMP_INTR) != 0 && dumped == Dumped::whole) dumped = Dumped::changed;
      if (part.nlmsg_type == NLMSG_ERROR) failure = parse_answer(part);
      if (part.nlmsg_type == NLMSG_DONE) failure = parse_end(part);
      done = part.nlmsg_type == NLMSG_DONE || part.nlmsg_type == NLMSG_ERROR;
      if (done) return Next::stop;
      objects.emplace_back(ByteView{reinterpret_cast<const std::uint8_t*>(&part), part.nlmsg_len});
      return Next::more;
    });
    if (error == ENOBUFS && ++losses <= kLosses) {
      dumped = Dumped::lost;
      continue;
    }
    if (error != 0 && error != EINTR) return fail(socket_error(operation, error));
  }
  if (!failure.ok()) return fail(netlink_error(failure, operation));
  return dumped;
}

Result<void> NetlinkSocket::dump(NetlinkMessage& message, std::string_view operation,
                                 const NetlinkHandler& handler) {
  std::vector<SecretBytes> objects;
  Dumped last = Dumped::lost;
  for (int attempt = 0; attempt < kDumps && last != Dumped::whole; ++attempt) {
    objects.clear();
    auto dumped = dump_once(message, operation, objects);
    if (!dumped) return tl::unexpected(dumped.error());
    last = *dumped;
  }
  // Changes go on for ever on a busy gateway; but what was lost is not there, and nobody may believe it gone.
  if (last == Dumped::lost) return fail(socket_error(operation, ENOBUFS));
  for (const SecretBytes& object : objects) handler(*reinterpret_cast<const nlmsghdr*>(object.view().data()));
  return {};
}

Result<bool> NetlinkSocket::receive(const NetlinkHandler& handler) {
  bool overrun = false;
  while (true) {
    const int error = read_datagram([&](const nlmsghdr& message) {
      handler(message);
      return Next::more;
    });
    if (error == EAGAIN) return overrun;
    if (error == ENOBUFS) overrun = true;
    if (error != 0 && error != ENOBUFS && error != EINTR) {
      return fail(socket_error("read netlink events", error));
    }
  }
}

}  // namespace oakgate
