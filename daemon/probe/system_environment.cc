#include "daemon/probe/system_environment.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "daemon/sockaddr.h"
#include "daemon/sockets.h"
#include "pki/certificate.h"
#include "pki/files.h"
#include "xfrm/netlink/routes.h"
#include "xfrm/netlink/tunnel_interfaces.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::probe {

namespace {

constexpr std::size_t kMaxListing = std::size_t{16} << 20;  // of a packet filter's rules
constexpr auto kPatience = std::chrono::seconds(10);        // with its tool
constexpr std::size_t kMaxCertificateFile = std::size_t{1} << 20;

tl::unexpected<Error> errno_error(const std::string& what, std::string remedy) {
  const ErrorCode code = errno == EPERM || errno == EACCES ? ErrorCode::not_permitted
                         : errno == EADDRINUSE             ? ErrorCode::in_use
                                                           : ErrorCode::unsupported;
  return fail(code, what + ": " + std::strerror(errno), {}, std::move(remedy));
}

int domain(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

// In a network namespace of its own, which ends with the thread: where that cannot be had, in ours.
void in_a_namespace(const std::function<void()>& body) {
  std::thread thread([&] {
    static_cast<void>(::unshare(CLONE_NEWNET));
    body();
  });
  thread.join();
}

struct ToolOutput {
  bool started = false;
  int status = -1;  // exit status
  std::string output;
};

// What a program prints, with a clean environment, bounded in time and size.
ToolOutput run_tool(const char* path, std::vector<const char*> arguments) {
  ToolOutput result;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return result;
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  arguments.insert(arguments.begin(), path);
  arguments.push_back(nullptr);
  std::array<const char*, 3> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, path, &actions, nullptr, const_cast<char* const*>(arguments.data()),
                                  const_cast<char* const*>(environment.data()));
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return result;
  result.started = true;
  writing = UniqueFd();
  const auto end = std::chrono::steady_clock::now() + kPatience;
  std::array<char, 65536> buffer{};
  bool cut = false;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{reading.get(), POLLIN, 0};
    const ssize_t size = left.count() > 0 && ::poll(&ready, 1, static_cast<int>(left.count())) > 0
                             ? ::read(reading.get(), buffer.data(), buffer.size())
                             : -1;
    cut = size < 0 || result.output.size() > kMaxListing;
    if (size <= 0 || cut) break;
    result.output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (cut) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) && !cut ? WEXITSTATUS(status) : -1;
  return result;
}

const char* find_tool(std::initializer_list<const char*> paths) {
  for (const char* path : paths) {
    if (::access(path, X_OK) == 0) return path;
  }
  return nullptr;
}

// The old kind keeps a list of its tables; nft shows the new kind.
std::string old_tables(const char* names, std::initializer_list<const char*> tools, std::string& unreadable) {
  std::ifstream stream(names);
  std::string table;
  if (!(stream >> table)) return {};
  const char* tool = find_tool(tools);
  if (tool == nullptr) {
    unreadable = "there are iptables rules and no iptables-save";
    return {};
  }
  const ToolOutput listed = run_tool(tool, {});
  if (listed.status != 0) unreadable = fmt::format("{} fails", tool);
  return listed.status == 0 ? listed.output : std::string();
}

class ThisMachine final : public Environment {
 public:
  [[nodiscard]] Result<std::vector<StateTrial>> try_states(std::span<const TransformSet> sets) override {
    Result<std::vector<StateTrial>> trials;
    in_a_namespace([&] { trials = oakgate::try_states(sets); });
    return trials;
  }

  [[nodiscard]] Result<void> try_encapsulation(Family family, bool non_ike_marker) override {
    const UniqueFd socket(::socket(domain(family), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int type = non_ike_marker ? UDP_ENCAP_ESPINUDP_NON_IKE : UDP_ENCAP_ESPINUDP;
    if (socket.get() >= 0 && ::setsockopt(socket.get(), IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) == 0)
      return {};
    return fail(ErrorCode::unsupported, std::strerror(errno));
  }

  [[nodiscard]] Result<void> try_interface() override {
    Result<void> made;
    in_a_namespace([&] {
      auto interfaces = TunnelInterfaces::open();
      if (!interfaces) {
        made = tl::unexpected(interfaces.error());
        return;
      }
      const TunnelInterface trial{.name = "oakgate-probe", .if_id = 0x6f61'0001};
      auto used = interfaces->use(trial);
      if (!used) {
        made = tl::unexpected(used.error());
      } else {
        made = interfaces->leave(trial.name);
      }
    });
    return made;
  }

  [[nodiscard]] Result<bool> try_offload(const KernelTies& ties, const IpAddress& local_gateway) override {
    return oakgate::try_offload(ties, local_gateway);
  }

  [[nodiscard]] Result<void> try_tun() override {
    constexpr const char* kRemedy = "load the module tun (`modprobe tun`), and run as root";
    const UniqueFd device(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (device.get() < 0) return errno_error("the software data plane needs /dev/net/tun", kRemedy);
    ifreq request{};
    std::strncpy(request.ifr_name, "oakgateprobe%d", IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(device.get(), TUNSETIFF, &request) == 0) return {};
    return errno_error("the software data plane cannot make a TUN device", kRemedy);
  }

  [[nodiscard]] Result<void> try_raw(Family family, IpsecProtocol protocol) override {
    const UniqueFd socket(::socket(domain(family), SOCK_RAW | SOCK_CLOEXEC, static_cast<int>(protocol)));
    if (socket.get() >= 0 || errno == EAFNOSUPPORT) return {};
    return errno_error(fmt::format("no raw socket for {}", protocol_name(protocol)),
                       "run as root (CAP_NET_RAW)");
  }

  [[nodiscard]] std::optional<std::string> setting(const std::string& name) override {
    std::ifstream stream("/proc/sys/" + name);
    std::string value;
    return std::getline(stream, value) ? std::optional(value) : std::nullopt;
  }

  [[nodiscard]] std::vector<OwnAddress> addresses() override {
    std::vector<OwnAddress> found;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return found;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
      if (one->ifa_addr == nullptr || one->ifa_netmask == nullptr) continue;
      const auto address = address_of(*one->ifa_addr);
      if (address) found.push_back({*address, one->ifa_name});
    }
    ::freeifaddrs(all);
    return found;
  }

  [[nodiscard]] Result<void> try_port(const IpAddress& local, std::uint16_t port) override {
    const UniqueFd socket(::socket(domain(local.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket.get() < 0 && errno == EAFNOSUPPORT) return {};
    const int on = 1;
    if (!local.is_v4()) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    const SocketAddress name = to_socket_address({local, port});
    if (::bind(socket.get(), name.get(), name.length) == 0) return {};
    if (errno == EADDRNOTAVAIL) {
      return fail(ErrorCode::not_found, fmt::format("{} is no address of this machine", local.to_string()),
                  {}, "mend `listen`, or give the machine the address");
    }
    return errno_error(fmt::format("UDP port {} of {}", port, local.to_string()), "run as root");
  }

  [[nodiscard]] std::string holder(std::uint16_t port) override { return holder_of_udp_port(port); }

  [[nodiscard]] Result<RouteTo> route_to(const IpAddress& address) override {
    auto routing = Routing::open();
    if (!routing) return tl::unexpected(routing.error());
    // As IKE's own sockets are routed, past the protected routes of a daemon that runs.
    const auto answer = routing->look_up(address, kBypassMark);
    if (!answer) return tl::unexpected(answer.error());
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(answer->ifindex, name.data()) == nullptr) name[0] = '\0';
    return RouteTo{name.data(), answer->source};
  }

  [[nodiscard]] Result<std::vector<IpAddress>> resolve(const std::string& host_name) override {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* all = nullptr;
    const int error = ::getaddrinfo(host_name.c_str(), nullptr, &hints, &all);
    if (error != 0) return fail(ErrorCode::not_found, ::gai_strerror(error));
    std::vector<IpAddress> found;
    for (const addrinfo* one = all; one != nullptr; one = one->ai_next) {
      if (const auto address = address_of(*one->ai_addr)) found.push_back(*address);
    }
    ::freeaddrinfo(all);
    if (found.empty()) return fail(ErrorCode::not_found, "no address of IPv4 or IPv6");
    return found;
  }

  [[nodiscard]] Rulesets rulesets() override {
    Rulesets rules;
    const char* nft = find_tool({"/usr/sbin/nft", "/sbin/nft"});
    if (nft == nullptr) {
      // Without the tool there may be rules all the same; without the kernel's part there are none.
      std::ifstream modules("/proc/modules");
      for (std::string line; std::getline(modules, line);) {
        if (line.starts_with("nf_tables ")) rules.unreadable = "there is no nft";
      }
    } else if (const ToolOutput listed = run_tool(nft, {"-j", "list", "ruleset"}); listed.status == 0) {
      rules.nftables = listed.output;
    } else if (::geteuid() != 0) {
      rules.unreadable = "nft needs root";
    }
    rules.iptables =
        old_tables("/proc/net/ip_tables_names", {"/usr/sbin/iptables-legacy-save", "/usr/sbin/iptables-save"},
                   rules.unreadable);
    rules.ip6tables =
        old_tables("/proc/net/ip6_tables_names",
                   {"/usr/sbin/ip6tables-legacy-save", "/usr/sbin/ip6tables-save"}, rules.unreadable);
    return rules;
  }

  [[nodiscard]] ClockState clock() override {
    timex state{};
    const int outcome = ::adjtimex(&state);
    ClockState clock;
    clock.now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    clock.synchronized = outcome >= 0 && outcome != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    return clock;
  }

  [[nodiscard]] Result<std::vector<CertificateDates>> certificates(const std::string& file) override {
    std::vector<CertificateDates> dates;
    const auto content = pki::read_file(file, kMaxCertificateFile);
    if (!content && content.error().code == ErrorCode::not_found) return dates;
    if (!content) return tl::unexpected(content.error());
    const auto bundle = pki::parse_bundle(*content);
    if (!bundle) return tl::unexpected(bundle.error());
    for (const pki::Certificate& one : bundle->certificates)
      dates.push_back({one.subject_text(), one.not_before(), one.not_after()});
    return dates;
  }

 private:
  static std::optional<IpAddress> address_of(const sockaddr& name) {
    if (name.sa_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
      return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4});
    }
    if (name.sa_family != AF_INET6) return std::nullopt;
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
    return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr), 16});
  }
};

}  // namespace

std::unique_ptr<Environment> this_machine() {
  return std::make_unique<ThisMachine>();
}

}  // namespace oakgate::probe
