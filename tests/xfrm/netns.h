// Network namespaces for tests in one process: a namespace lives as long as its object, has no name, and is
// gone even if the test crashes. Needs root. A failure to make one ends the test program with a message:
// nothing works then.
#pragma once

#include <string>
#include <string_view>

#include "ike/base/bytes.h"
#include "ike/base/net.h"

namespace oakgate::test {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class Namespace {
 public:
  Namespace();  // loopback is up, IPv6 addresses are usable at once, both families forward

  // Calls `body` on this thread, inside; what threads it starts stay inside.
  template <typename Body>
  auto enter(Body body) const {
    const Inside inside(fd_.get());
    return body();
  }
  // A shell command inside; its exit status. Its output goes to this program's.
  int sh(const std::string& command) const;
  // The same, ending the test program if it fails: for building topologies.
  void must(const std::string& command) const;
  [[nodiscard]] std::string output(const std::string& command) const;  // standard output and standard error
  // Names the namespace for `ip ... netns PATH`, while this process lives.
  [[nodiscard]] std::string path() const;

 private:
  class Inside {
   public:
    explicit Inside(int fd);
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside();

   private:
    FileDescriptor outside_;
  };
  FileDescriptor fd_;
};

// A veth pair, both ends up.
void connect(const Namespace& a, std::string_view device_a, const Namespace& b, std::string_view device_b);

// A UDP socket bound to an address (port 0: any), non-blocking.
class UdpSocket {
 public:
  UdpSocket(const Namespace& where, const IpAddress& address, std::uint16_t port);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Endpoint local() const;
  // 0 or an errno.
  [[nodiscard]] int send(const Endpoint& to, std::string_view text) const;
  // The next datagram's text; empty if none came in time.
  [[nodiscard]] std::string receive(int patience_ms = 3000, Endpoint* from = nullptr) const;

 private:
  FileDescriptor fd_;
};

// What leaves by one device, frames with their Ethernet headers. (Not what comes in: the kernel shows there
// what it has just decrypted, too.)
class Sniffer {
 public:
  Sniffer(const Namespace& where, std::string_view device);
  // What has left since the last call. Never waits.
  [[nodiscard]] std::vector<Bytes> take() const;
  // Puts a frame on the wire, as it is.
  void inject(ByteView frame) const;

 private:
  FileDescriptor fd_;
  int ifindex_ = 0;
};

}  // namespace oakgate::test
