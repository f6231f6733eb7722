#include "ike/half_open.h"

#include <algorithm>

namespace oakgate::ike {

namespace {

constexpr std::size_t kReservedShare = 4;  // a quarter of the room is for configured addresses alone

IpAddress source_of(const IpAddress& address) {
  return address.is_v4() ? address : Subnet(address, 64).address();
}

tl::unexpected<Error> full(const std::string& what, const std::string& limit) {
  return fail(ErrorCode::in_use, "too many half-open negotiations " + what, limit,
              "find out what floods UDP port 500, or raise `half_open`");
}

}  // namespace

const HalfOpenBook::Source* HalfOpenBook::most_crowded(bool strangers_only) const {
  const Source* most = nullptr;
  for (const auto& [address, source] : sources_) {
    if (source.fresh.empty() || (strangers_only && source.configured)) continue;
    if (most == nullptr || source.fresh.size() > most->fresh.size()) most = &source;
  }
  return most;
}

Result<std::optional<IkeSaId>> HalfOpenBook::make_room(const IpAddress& address, bool configured,
                                                       const Limits& limits, Rng& rng) const {
  static const Source kNone;
  const auto found = sources_.find(source_of(address));
  const Source& source = found == sources_.end() ? kNone : found->second;
  const auto one_of = [&rng](const Source& crowded) {
    return std::optional(crowded.fresh[rng.below(static_cast<std::uint32_t>(crowded.fresh.size()))]);
  };
  const std::size_t per_source = limits.half_open_per_source;
  const std::size_t of_source = source.proved + (configured ? 0 : source.fresh.size());
  if (of_source >= per_source) {
    if (!configured && !source.fresh.empty()) return one_of(source);
    return full("from " + address.to_string(), "at most " + std::to_string(per_source) + " from one source");
  }
  const std::size_t for_strangers = limits.half_open_total - limits.half_open_total / kReservedShare;
  const bool crowded_out = !configured && strangers_ >= for_strangers;
  if (!crowded_out && members_.size() < limits.half_open_total) return std::optional<IkeSaId>{};
  if (const Source* crowded = most_crowded(crowded_out)) return one_of(*crowded);
  return full("in all", "at most " + std::to_string(limits.half_open_total) + ", " +
                            std::to_string(for_strangers) +
                            " of them from addresses that are not configured one by one");
}

void HalfOpenBook::enter(IkeSaId sa, const IpAddress& address, bool configured) {
  const IpAddress key = source_of(address);
  Source& source = sources_[key];
  source.configured = configured;
  source.fresh.push_back(sa);
  members_[sa] = {key, true, configured};
  if (!configured) ++strangers_;
}

Result<void> HalfOpenBook::prove(IkeSaId sa, const Limits& limits) {
  const auto member = members_.find(sa);
  if (member == members_.end() || !member->second.fresh) return {};
  Source& source = sources_.at(member->second.source);
  if (source.proved >= limits.half_open_per_source) {
    return full("from " + member->second.source.to_string(),
                "at most " + std::to_string(limits.half_open_per_source) + " from one source");
  }
  std::erase(source.fresh, sa);
  ++source.proved;
  member->second.fresh = false;
  return {};
}

void HalfOpenBook::leave(IkeSaId sa) {
  const auto member = members_.find(sa);
  if (member == members_.end()) return;
  const auto source = sources_.find(member->second.source);
  if (!member->second.configured) --strangers_;
  if (member->second.fresh) {
    std::erase(source->second.fresh, sa);
  } else {
    --source->second.proved;
  }
  if (source->second.fresh.empty() && source->second.proved == 0) sources_.erase(source);
  members_.erase(member);
}

}  // namespace oakgate::ike
