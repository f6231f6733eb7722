#include "xfrm/soft/drop_counts.h"

#include <array>

namespace oakgate::soft {

namespace {

struct Row {
  DropReason reason;
  std::uint64_t Drops::*count;
};
constexpr std::array kRows{
    Row{DropReason::invalid_spi, &Drops::invalid_spi},
    Row{DropReason::replayed, &Drops::replayed},
    Row{DropReason::not_authentic, &Drops::not_authentic},
    Row{DropReason::malformed, &Drops::malformed},
    Row{DropReason::selector_mismatch, &Drops::selector_mismatch},
    Row{DropReason::encapsulation, &Drops::encapsulation},
    Row{DropReason::congestion, &Drops::congestion},
    Row{DropReason::lan_refused, &Drops::lan_refused},
    Row{DropReason::no_policy, &Drops::no_policy},
    Row{DropReason::no_sa, &Drops::no_sa},
    Row{DropReason::too_big, &Drops::too_big},
    Row{DropReason::expired, &Drops::expired},
    Row{DropReason::send_refused, &Drops::send_refused},
    Row{DropReason::crypto_failed, &Drops::crypto_failed},
};
// Plaintext is dropped by the guard, before it comes near the engine; and what finds a worker's queue full
// comes no nearer.
static_assert(kRows.size() + 2 == kDropReasons.size());

}  // namespace

DropCounts drop_counts(const Drops& drops) {
  DropCounts counts;
  for (const Row& row : kRows) counts.add(row.reason, drops.*row.count);
  return counts;
}

}  // namespace oakgate::soft
