// A kernel that things go wrong in. A program that is linked with faulty_kernel.cc has its sendmsg, sendto
// and recvmsg before the C library's: XFRM states are kept here (no ESP is needed), all other requests go to
// the real kernel one by one, and any of them can fail. Netlink sockets alone; one thread.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/bytes.h"

namespace oakgate::test {

// What becomes of a request.
struct Fault {
  enum class Kind : std::uint8_t {
    refused,  // the answer is an errno
    rest,     // likewise this one and all behind it in its datagram
    lost,     // done, but the answer is lost: ENOBUFS
    unheard,  // not done, and no answer in time: EAGAIN
    late,     // done, and no answer in time
  };
  Kind kind{};
  int error = 0;
  [[nodiscard]] std::string name() const;
};
// One of each kind, and of each errno that the kernel is known to give.
[[nodiscard]] const std::vector<Fault>& every_fault();

struct FaultyKernel {
  struct Datagram {
    Bytes data;
    int error = 0;  // instead of it
  };
  std::map<Bytes, Bytes> states;  // by what names one; a message's body
  // Errnos for the next requests about states of a type, in order; 0: done.
  std::map<std::uint16_t, std::deque<int>> refusals;
  // Of the next such requests of a type: done, but the answer is lost.
  std::map<std::uint16_t, int> unsaid;
  int dump_losses = 0;   // ENOBUFS before the end of so many dumps of states
  int dump_end = 0;      // the errno that a dump of states ends with
  bool hurries = false;  // timers are due at once
  int event_losses = 0;  // ENOBUFS from the next reads of an events socket

  // Requests are counted from 0 while `counting`; the one of this number meets `fault`, and what it was is
  // told.
  bool counting = false;
  unsigned seen = 0;
  std::optional<unsigned> fails_at;
  Fault fault;
  std::string failed;
  std::vector<std::string> names;  // of all that were counted
  std::function<void()> each;      // after each one that is counted

  std::map<int, std::deque<Datagram>> waiting;  // by socket

  void take(int fd, const nlmsghdr& request, ByteView message, bool last_failed);
  void take_datagram(int fd, ByteView all);
  // nftables: a transaction is one datagram.
  void take_transaction(int fd, ByteView all);

 private:
  void say(int fd, std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, ByteView body);
  void answer(int fd, const nlmsghdr& request, int error);
  void carry_out(int fd, const nlmsghdr& request, ByteView message);
  void forward(int fd, ByteView message, std::uint32_t awaited, bool dump);
  void state_request(int fd, const nlmsghdr& request, ByteView body);
  [[nodiscard]] int change_states(int fd, const nlmsghdr& request, ByteView body);
  void dump_states(int fd, const nlmsghdr& request);
  [[nodiscard]] bool fails_now() const { return counting && fails_at && *fails_at == seen; }
  void count();
};
extern FaultyKernel kernel;

}  // namespace oakgate::test
