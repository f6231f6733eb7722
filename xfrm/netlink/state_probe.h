// What this kernel can protect with, found out by trying; and why it refuses what it cannot, in words.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ike/base/result.h"
#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// Why the kernel took no such SA: what it lacks, and what to do. `operation` as netlink_error has it.
[[nodiscard]] Error refused_state(const SaSpec& sa, const NetlinkAnswer& answer, std::string_view operation);

// One SA of one transform set, tried over one family.
struct StateTrial {
  Family family{};
  IpsecProtocol protocol{};
  TransformSet tried;  // the part of the set that it stands for
  std::optional<Error> refused;
};

// Adds and removes ESP, AH and IPComp SAs of ours for each of the transform sets, and one with AES-CBC and
// HMAC-SHA-1 besides, over IPv4 and (where the machine has it) IPv6: kernels differ in the rarer ciphers, and
// what nobody configured need not be there. They have reserved names and carry nothing. In the calling
// thread's network namespace. An Error only where nothing can be tried.
[[nodiscard]] Result<std::vector<StateTrial>> try_states(std::span<const TransformSet> sets);
// Whether the network device that `ties` names, or that has the address, takes an SA to cipher: false where
// the kernel would do it by itself instead. The SA has a reserved name, and is gone again.
[[nodiscard]] Result<bool> try_offload(const KernelTies& ties, const IpAddress& local_gateway);
// The first refusal, as the daemon's reason for `software`.
[[nodiscard]] Result<void> probe_esp(std::span<const TransformSet> sets);

}  // namespace oakgate
