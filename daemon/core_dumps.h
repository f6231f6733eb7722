// For every program of ours that holds keys.
#pragma once

namespace oakgate {

// No core files, no ptrace by other processes of the same user: memory holds keys.
void forbid_core_dumps();

}  // namespace oakgate
