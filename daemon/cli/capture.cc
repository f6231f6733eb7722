#include "daemon/cli/capture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>

#include "daemon/capture/packet_source.h"
#include "daemon/capture/wireshark_tables.h"
#include "daemon/cli/commands.h"
#include "daemon/core_dumps.h"
#include "daemon/text.h"
#include "daemon/version.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};
constexpr Seconds kGrace{5};  // beyond the daemon's end of it, should that not come
constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;  // of a file
// What Wireshark needs to be told besides, to look into ESP with that folder's tables.
constexpr std::string_view kPreferences =
    "esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n";

Failure failure(ErrorCode code, std::string text, std::string expected, std::string remedy) {
  return failure_of(Error{code, std::move(text), std::move(expected), std::move(remedy), {}});
}

Outcome<UniqueFd> create_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  return tl::unexpected(
      failure(errno == EEXIST ? ErrorCode::in_use : ErrorCode::not_permitted,
              fmt::format("{} cannot be made: {}", printable(path, 1024), std::strerror(errno)),
              "a file that does not exist yet, in a folder that does", "choose another name, or remove it"));
}

Outcome<void> write_all(const UniqueFd& fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return tl::unexpected(failure(ErrorCode::internal,
                                    fmt::format("writing the capture: {}", std::strerror(errno)),
                                    "room for it", "what was written before can be read"));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// FILE.keys: Wireshark's two tables and its preferences, 0600 in a folder of 0700.
class KeyFolder {
 public:
  static Outcome<KeyFolder> create(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) {
      return tl::unexpected(
          failure(ErrorCode::in_use,
                  fmt::format("{} cannot be made: {}", printable(path, 1024), std::strerror(errno)),
                  "a folder that does not exist yet", "choose another file name, or remove it"));
    }
    KeyFolder folder;
    folder.path_ = path;
    for (const std::string_view name :
         {capture::kIkeTable, capture::kEspTable, std::string_view("preferences")}) {
      Outcome<UniqueFd> file = create_file(path + "/" + std::string(name));
      if (!file) return tl::unexpected(file.error());
      folder.files_.emplace(name, std::move(*file));
    }
    if (auto written = write_all(folder.files_.at("preferences"), as_bytes(kPreferences)); !written)
      return tl::unexpected(written.error());
    return folder;
  }
  Outcome<void> add(const std::string& table, std::string& line) {
    const auto file = files_.find(table);
    if (file == files_.end()) return {};
    if (line.empty() || line.back() != '\n') line += '\n';
    Outcome<void> written = write_all(file->second, as_bytes(line));
    wipe(line.data(), line.size());
    return written;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::map<std::string, UniqueFd, std::less<>> files_;
};

// Ctrl-C ends a capture, not the program: what there is has to be finished.
UniqueFd watch_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&wanted, number);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  return UniqueFd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::vector<AddressRange> addresses_of(const Json& event) {
  std::vector<AddressRange> ranges;
  for (const Json& one : event.value("addresses", Json::array())) {
    const auto first = IpAddress::parse(one.value("first", "")),
               last = IpAddress::parse(one.value("last", ""));
    if (first && last && first->family() == last->family()) ranges.push_back({*first, *last});
  }
  return ranges;
}

class Capturing {
 public:
  Capturing(const Arguments& arguments, ControlClient client, capture::PacketSource source, UniqueFd file)
      : arguments_(arguments),
        client_(std::move(client)),
        source_(std::move(source)),
        file_(std::move(file)) {}

  Outcome<void> run() {
    if (auto begun = write_all(file_, capture::PcapngWriter::begin(std::string("oakgate ") + kVersion));
        !begun)
      return begun;
    const UniqueFd signals = watch_signals();
    if (auto begun = begin(); !begun) return begun;
    const auto end = std::chrono::steady_clock::now() + time_ + kGrace;
    while (ended_.empty()) {
      std::array<pollfd, 3> fds{
          {{source_.fd(), POLLIN, 0}, {client_.fd(), POLLIN, 0}, {signals.get(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), 1000);
      if (fds[2].revents != 0) ended_ = "interrupted";
      if (std::chrono::steady_clock::now() >= end) ended_ = "its time is over";
      // The daemon first: keys come before what they decrypt.
      if (auto heard = listen(); !heard) return heard;
      if (auto taken = take_packets(); !taken) return taken;
    }
    return {};
  }

  [[nodiscard]] Json outcome() {
    Json json{{"version", kControlVersion},
              {"peer", arguments_.peer},
              {"file", arguments_.captured.file},
              {"ended", ended_},
              {"packets", packets_},
              {"lost", source_.lost()},
              {"keys", folder_ ? Json(folder_->path()) : Json(nullptr)}};
    if (folder_) {
      json["isakmp_keys"] = ike_keys_;
      json["esp_keys"] = esp_keys_;
    } else {
      json["no_keys"] = no_keys_;
    }
    return json;
  }

 private:
  Outcome<void> begin() {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::capture;
    request.peer = arguments_.peer;
    request.keys = !arguments_.captured.no_keys;
    if (arguments_.captured.seconds > 0) request.seconds = Seconds(arguments_.captured.seconds);
    if (auto sent = client_.begin(request, kPatience); !sent) return sent;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!begun_) {
      pollfd answer{client_.fd(), POLLIN, 0};
      ::poll(&answer, 1, 1000);
      if (auto heard = listen(); !heard) return heard;
      if (!begun_ && (!ended_.empty() || std::chrono::steady_clock::now() >= end)) {
        return tl::unexpected(Failure{Exit::unreachable, "unreachable", "oakgated does not begin the capture",
                                      "an answer of the daemon",
                                      "look at its log: `journalctl -u oakgated`"});
      }
    }
    return {};
  }

  Outcome<void> listen() {
    while (true) {
      Outcome<std::optional<ControlClient::Line>> line = client_.take();
      if (!line) return tl::unexpected(line.error());
      if (!*line) return {};
      Json& json = (*line)->json;
      if ((*line)->last) {
        if (ended_.empty()) ended_ = json.value("ended", "");
        return {};
      }
      if (auto taken = take_event(json); !taken) return taken;
    }
  }

  Outcome<void> take_event(Json& event) {
    if (event.contains("capture")) {
      begun_ = true;
      time_ = Seconds(event.value("seconds", 60));
      if (event.value("keys", false)) {
        Outcome<KeyFolder> folder = KeyFolder::create(arguments_.captured.file + ".keys");
        if (!folder) return tl::unexpected(folder.error());
        folder_ = std::move(*folder);
      } else if (event["no_keys"].is_string()) {
        no_keys_ = event["no_keys"].get<std::string>();
      }
    }
    if (event.contains("addresses")) source_.watch(addresses_of(event));
    if (event.contains("capture") && !arguments_.json) {
      fmt::print(stderr, "capturing packets of {} for at most {} s{}; Ctrl-C ends it\n",
                 printable(arguments_.peer), time_.count(),
                 folder_ ? ", with keys" : ", without keys: " + printable(no_keys_));
    }
    if (!event.contains("table") || !folder_ || !event["line"].is_string()) return {};
    const std::string table = event.value("table", "");
    (table == capture::kIkeTable ? ike_keys_ : esp_keys_) += 1;
    return folder_->add(table, event["line"].get_ref<std::string&>());
  }

  Outcome<void> take_packets() {
    std::vector<capture::CapturedPacket> packets;
    while (source_.read(packets)) {
      for (const capture::CapturedPacket& packet : packets) {
        const Bytes record = writer_.packet(packet);
        bytes_ += record.size();
        if (auto written = write_all(file_, record); !written) return written;
        ++packets_;
        if (arguments_.captured.packets > 0 &&
            packets_ >= static_cast<std::uint64_t>(arguments_.captured.packets)) {
          ended_ = "all packets are there";
          return {};
        }
      }
      packets.clear();
      if (bytes_ > kMaxBytes) ended_ = "the file is as long as it may be";
      if (!ended_.empty() && ended_ != "interrupted") return {};
    }
    return {};
  }

  const Arguments& arguments_;
  ControlClient client_;
  capture::PacketSource source_;
  UniqueFd file_;
  capture::PcapngWriter writer_;
  std::optional<KeyFolder> folder_;
  std::string no_keys_;
  std::string ended_;
  bool begun_ = false;
  Seconds time_{0};
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t ike_keys_ = 0;
  std::uint64_t esp_keys_ = 0;
};

void print_outcome(const Json& json) {
  const std::string file = printable(json.value("file", ""), 1024);
  const auto packets = json.value("packets", std::uint64_t{0});
  fmt::print("{}: {} packet{}", file, packets, packets == 1 ? "" : "s");
  if (const auto lost = json.value("lost", std::uint64_t{0}); lost > 0)
    fmt::print(", {} more were lost", lost);
  fmt::print(" ({})\n", json.value("ended", ""));
  if (!json["keys"].is_string()) return;
  const std::string keys = printable(json.value("keys", ""), 1024);
  fmt::print("{}: {} ISAKMP and {} ESP keys\n", keys, json.value("isakmp_keys", 0),
             json.value("esp_keys", 0));
  fmt::print("  oakgate decode {} --keys {}\n  WIRESHARK_CONFIG_DIR={} wireshark {}\n", file, keys, keys,
             file);
}

}  // namespace

int capture(const Arguments& arguments) {
  forbid_core_dumps();  // keys pass through
  Result<capture::PacketSource> source = capture::PacketSource::open();
  if (!source) return report(failure_of(source.error()), arguments.json);
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return report(client.error(), arguments.json);
  Outcome<UniqueFd> file = create_file(arguments.captured.file);
  if (!file) return report(file.error(), arguments.json);
  Capturing capturing(arguments, std::move(*client), std::move(*source), std::move(*file));
  const Outcome<void> ran = capturing.run();
  const Json outcome = capturing.outcome();
  if (!ran && outcome.value("packets", std::uint64_t{0}) == 0) ::unlink(arguments.captured.file.c_str());
  if (!ran) return report(ran.error(), arguments.json);
  if (arguments.json) {
    fmt::print("{}\n", dump(outcome));
  } else {
    print_outcome(outcome);
  }
  return static_cast<int>(Exit::done);
}

}  // namespace oakgate::cli
