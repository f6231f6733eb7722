// Who is let into half-open negotiations as responder, and who has to go for it. A message 1 costs its sender
// nothing and may bear any source address; so it makes room for itself, and nobody is kept out by those who
// were faster.
//
//   fresh    message 1 has come, our cookie has not come back: the source address may be anybody's. Nothing
//   is computed
//            for it (Main Mode), and it goes when room is needed: one at random of the source that has most,
//            so that a flood under some address hurts that address alone, and even there only by chance.
//   proved   our cookie came back: the source receives at its address. Never evicted; of one source at most
//   `per_source`.
//
// A source is an IPv4 address, or an IPv6 /64. Of a source that only a range of addresses or `any` names,
// fresh ones count against `per_source` too, and all of them together get three quarters of `total`: the rest
// is there for peers whose address is configured, which are as many as an operator wrote down.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/rng.h"
#include "ike/config.h"
#include "ike/ike_sa.h"

namespace oakgate::ike {

class HalfOpenBook {
 public:
  // Whether one more from `source` is let in, and what has to go first (the caller removes it, with leave()).
  // ErrorCode::in_use: all the room is taken by negotiations that go on.
  [[nodiscard]] Result<std::optional<IkeSaId>> make_room(const IpAddress& source, bool configured,
                                                         const Limits& limits, Rng& rng) const;
  void enter(IkeSaId sa, const IpAddress& source, bool configured);
  // Our cookie has come back. ErrorCode::in_use: too many of that source have got as far; nothing has
  // changed.
  [[nodiscard]] Result<void> prove(IkeSaId sa, const Limits& limits);
  // Established, failed or evicted. Not there: no error.
  void leave(IkeSaId sa);

  [[nodiscard]] std::size_t size() const { return members_.size(); }

 private:
  struct Source {
    std::vector<IkeSaId> fresh;
    std::size_t proved = 0;
    bool configured = false;
  };
  struct Member {
    IpAddress source;
    bool fresh = true;
    bool configured = false;
  };
  [[nodiscard]] const Source* most_crowded(bool strangers_only) const;

  std::unordered_map<IpAddress, Source> sources_;
  std::unordered_map<IkeSaId, Member> members_;
  std::size_t strangers_ = 0;  // of sources that are not configured
};

}  // namespace oakgate::ike
