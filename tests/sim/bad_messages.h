// Malformed and misplaced messages, built from a good one by payload: each payload missing, doubled, moved,
// of another length, type or content; each field of the header; and messages that have no place anywhere.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/insider.h"

namespace oakgate::sim {

struct BadMessage {
  std::string name;
  Bytes data;
};

// A good message, with what it takes to change it inside.
struct GoodMessage {
  Bytes data;
  Bytes iv;                    // if it is encrypted
  bool hash_1_covers = false;  // its HASH can be made anew over what was changed
};

[[nodiscard]] std::vector<BadMessage> bad_messages(const GoodMessage& good, const Insider& insider);
// What nobody asked for, under the session's cookies: every exchange type, every notification and deletion
// without or with wrong protection.
[[nodiscard]] std::vector<BadMessage> stray_messages(const Insider& insider);

}  // namespace oakgate::sim
