// ISAKMP payloads in words: the names of our tables, RFC 2407, 2408 and 2409. What a peer wrote is escaped.
#pragma once

#include "daemon/control_protocol.h"
#include "ike/base/algorithms.h"
#include "ike/wire/message.h"

namespace oakgate::decode {

// {"payload": "SA", "text": "..."} and, of an SA, "proposals" attribute by attribute.
[[nodiscard]] Json payload_json(const wire::Payload& payload);

// "KEY_IKE: aes-256, sha256, group14, pre-share, 86400 s": what a transform says, in one line.
[[nodiscard]] std::string transform_text(std::uint8_t protocol, const wire::Transform& transform);

// What the one transform that a responder chose settles; nothing: it is not of phase 1, or unknown here.
struct Phase1Choice {
  IkeCipher cipher{};
  IkeHash hash{};
  std::optional<AuthMethod> authentication;
};
[[nodiscard]] std::optional<Phase1Choice> phase1_choice(const wire::SaPayload& sa);

// "MESSAGE-TYPE" by name, or with its number.
[[nodiscard]] std::string notify_text(NotifyType type);

}  // namespace oakgate::decode
