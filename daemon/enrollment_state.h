// What the state folder knows about enrolments: state_dir/scep/TRUSTPOINT.json, one small file a trustpoint,
// written by `oakgate pki enroll` and by oakgated, replaced whole. It survives restarts; nothing in it is
// secret: no challenge password, no private key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ike/base/result.h"
#include "pki/scep/transaction.h"

namespace oakgate {

inline constexpr std::size_t kMaxEnrollmentFile = 256U << 10;

// At most two: one for each of the trustpoint's keys.
using Transactions = std::vector<pki::scep::Transaction>;

// ErrorCode::configuration if the trustpoint's name cannot be a file's.
[[nodiscard]] Result<std::string> enrollment_file(const std::string& state_dir, std::string_view trustpoint);
// None if there is no file. ErrorCode::malformed names a file that is not ours.
[[nodiscard]] Result<Transactions> read_transactions(const std::string& state_dir,
                                                     std::string_view trustpoint);
// In place of the transaction for the same key, if there is one.
[[nodiscard]] Result<void> save_transaction(const std::string& state_dir, std::string_view trustpoint,
                                            const pki::scep::Transaction& transaction);
// Replaces a transaction only while it is the one on disk: an operator may have begun another meanwhile.
[[nodiscard]] Result<void> update_transaction(const std::string& state_dir, std::string_view trustpoint,
                                              const pki::scep::Transaction& transaction);
// Likewise; the last one takes the file along.
[[nodiscard]] Result<void> remove_transaction(const std::string& state_dir, std::string_view trustpoint,
                                              const std::string& id);

// The file's text, and back; for tests and fuzzing.
[[nodiscard]] std::string transactions_text(const Transactions& transactions);
[[nodiscard]] Result<Transactions> parse_transactions(std::string_view text);

}  // namespace oakgate
