// Answers on the control socket that have something of every peer. With thousands of them such an answer
// takes seconds: it is made a hundred peers at a time, and the loop does its other work in between. So it
// tells of each peer how things were when its turn came.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "daemon/control_protocol.h"
#include "daemon/control_server.h"
#include "daemon/loop.h"

namespace oakgate {

class LongAnswers {
 public:
  static constexpr std::size_t kPeersAPiece = 100;
  struct Peer {
    std::string name;
    std::string address;  // as configured
  };
  // The answer for these peers alone. Of the parts beside `list` the last piece's count.
  using Make = std::function<Json(std::span<const Peer> peers, bool last)>;

  LongAnswers(Loop& loop, ControlServer& server) : server_(server), timer_(loop, [this] { go_on(); }) {}

  // `list` is the array in it that has the peers. At once if one piece is enough.
  void begin(ClientId client, std::uint64_t request, std::string list, std::vector<Peer> peers, Make make);
  void forget(ClientId client);

 private:
  struct Answer {
    ClientId client;
    std::uint64_t request;
    std::string list;
    std::vector<Peer> peers;
    Make make;
    std::size_t done = 0;
    std::string entries;  // those of the pieces so far, as text
  };
  // True: it is answered.
  [[nodiscard]] bool take_piece(Answer& answer);
  void go_on();

  ControlServer& server_;
  std::deque<Answer> answers_;  // take turns
  Timer timer_;
};

}  // namespace oakgate
