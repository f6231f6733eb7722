// Between pki/ and the core: a trustpoint's facts as the core takes them, and verdicts on peers from the
// worker pool.
#pragma once

#include <functional>

#include "daemon/key_files.h"
#include "daemon/workers.h"
#include "ike/config.h"
#include "pki/trust_store.h"

namespace oakgate {

[[nodiscard]] ike::TrustpointState trustpoint_state(pki::TrustpointFacts facts);

// `answer` comes on the loop's thread, from WorkerPool::dispatch(); `store` outlives the pool. What is not
// known of a certificate's revocation is not asked for: only files and the cache count.
// ErrorCode::internal: the pool is full, and there will be no answer.
[[nodiscard]] Result<void> verify_in_pool(WorkerPool& workers, const pki::TrustStore& store, PeerProof proof,
                                          std::function<void(PeerVerdict)> answer);

}  // namespace oakgate
