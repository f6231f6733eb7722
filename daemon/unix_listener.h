// A listening Unix stream socket at a path, for root and its group.
#pragma once

#include <string>
#include <string_view>

#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

struct ListenerName {
  std::string_view what;  // "control socket", for errors
  std::string_view key;   // "gateway.control_socket"
};

// A socket that somebody left there is removed; anything else there is an error.
[[nodiscard]] Result<UniqueFd> listen_at_path(const ListenerName& name, const std::string& path, int backlog);

// Makes the socket at `path` that of another group. `name.key` is the key that names the group. Without
// CAP_CHOWN this process has to be a member.
[[nodiscard]] Result<void> give_to_group(const ListenerName& name, const std::string& path,
                                         const std::string& group);

}  // namespace oakgate
