// The two archives that run over one declarative field list: FieldReader takes the bytes apart, FieldWriter
// puts them together, so that length and bytes of a payload cannot disagree with its parser. Lists are in
// payload_fields.h.
//
// The reader is bounded by its view, refuses instead of guessing, and notes the first flaw it meets; numbers
// of items are bounded before anything is allocated for them. The writer cannot fail. RFC 2408 sections 3.2
// and 3.3.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/wire/payloads.h"

namespace oakgate::wire {

// What is wrong with a message, in words that need no allocation: most messages that have one are hostile.
struct Flaw {
  NotifyType notify = NotifyType::payload_malformed;
  std::string_view what;
  std::string_view expected;
  ErrorCode code = ErrorCode::malformed;
};

class FieldReader {
 public:
  static constexpr bool kReads = true;

  // `cut` is the notification for a flaw that has none of its own.
  FieldReader(ByteView data, Flaw& flaw, NotifyType cut = NotifyType::payload_malformed)
      : reader_(data), flaw_(&flaw), cut_(cut) {}

  template <std::unsigned_integral T>
  [[nodiscard]] bool number(T& out) {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4);
    bool read = false;
    if constexpr (sizeof(T) == 1) read = reader_.u8(out);
    if constexpr (sizeof(T) == 2) read = reader_.u16(out);
    if constexpr (sizeof(T) == 4) read = reader_.u32(out);
    return read || ends_early();
  }
  template <typename T>
  requires std::is_enum_v<T>
  [[nodiscard]] bool number(T& out) {
    std::underlying_type_t<T> raw{};
    if (!number(raw)) return false;
    out = static_cast<T>(raw);
    return true;
  }
  [[nodiscard]] bool number(MessageId& out) { return number(out.value); }
  [[nodiscard]] bool cookie(Cookie& out);
  [[nodiscard]] bool reserved(std::size_t count);
  // A count or size that comes before what it counts.
  template <std::unsigned_integral T>
  [[nodiscard]] bool count(T& out, std::size_t /*actual*/) {
    return number(out);
  }
  [[nodiscard]] bool bytes(Bytes& out, std::size_t size);
  [[nodiscard]] bool rest(Bytes& out);
  [[nodiscard]] bool attribute(Attribute& out);
  [[nodiscard]] bool check(bool holds, const Flaw& otherwise) { return holds || note(otherwise); }

  // `count` items, or as many as fill the view.
  template <typename T, typename Fields>
  [[nodiscard]] bool repeat(std::vector<T>& out, std::size_t count, Fields&& item) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!item(*this, out.emplace_back())) return false;
    }
    return true;
  }
  [[nodiscard]] bool attributes_to_end(std::vector<Attribute>& out, std::size_t most);

  // One generic header and a reader over just the body it frames.
  [[nodiscard]] bool framed(PayloadType& next, FieldReader& body);
  // A chain of payloads of one type that fills the view: proposals, transforms.
  template <typename T, typename Fields>
  [[nodiscard]] bool chain(std::vector<T>& out, PayloadType type, std::size_t most, Fields&& item) {
    // RFC 2408 section 5.5: "Ensure the Proposals are presented according to the details given", else
    // BAD-PROPOSAL-SYNTAX.
    cut_ = NotifyType::bad_proposal_syntax;
    PayloadType next = type;
    while (next == type) {
      if (out.size() == most) return note({cut_, "too many proposals or transforms", "fewer", {}});
      FieldReader body = *this;
      if (!framed(next, body) || !item(body, out.emplace_back())) return false;
      if (!body.at_end()) return note({cut_, "bytes behind the last field", "lengths that nest exactly"});
    }
    if (next != PayloadType::none) return note({cut_, "a payload of another type in the chain", "type or 0"});
    return at_end() || note({cut_, "bytes behind the last of the chain", "lengths that nest exactly"});
  }

  [[nodiscard]] bool at_end() const { return reader_.empty(); }
  [[nodiscard]] std::size_t position() const { return reader_.position(); }
  [[nodiscard]] ByteView remaining() const { return reader_.rest(); }
  // Always false. The first flaw of a message stays.
  bool note(const Flaw& flaw) {
    if (flaw_->what.empty()) *flaw_ = flaw;
    return false;
  }

 private:
  bool ends_early() { return note({cut_, "it ends within a field", "whole fields"}); }

  ByteReader reader_;
  Flaw* flaw_;
  NotifyType cut_;
};

// Methods mirror FieldReader's and always return true.
class FieldWriter {
 public:
  static constexpr bool kReads = false;

  template <std::unsigned_integral T>
  bool number(T value) {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4);
    if constexpr (sizeof(T) == 1) out_.u8(value);
    if constexpr (sizeof(T) == 2) out_.u16(value);
    if constexpr (sizeof(T) == 4) out_.u32(value);
    return true;
  }
  template <typename T>
  requires std::is_enum_v<T>
  bool number(T value) { return number(static_cast<std::underlying_type_t<T>>(value)); }
  bool number(MessageId value) { return number(value.value); }
  bool cookie(const Cookie& value) { return raw(value); }
  bool reserved(std::size_t count) {
    out_.zeros(count);
    return true;
  }
  template <std::unsigned_integral T>
  bool count(T& /*out*/, std::size_t actual) {
    return number(static_cast<T>(actual));
  }
  bool bytes(const Bytes& value, std::size_t /*size*/) { return raw(value); }
  bool rest(const Bytes& value) { return raw(value); }
  bool attribute(const Attribute& value);
  bool check(bool /*holds*/, const Flaw& /*otherwise*/) { return true; }

  template <typename T, typename Fields>
  bool repeat(const std::vector<T>& items, std::size_t /*count*/, Fields&& item) {
    for (const T& one : items) item(*this, one);
    return true;
  }
  bool attributes_to_end(const std::vector<Attribute>& values, std::size_t most);

  template <typename Body>
  bool framed(PayloadType next, Body&& body) {
    const std::size_t start = out_.size();
    number(next);
    reserved(1);
    number(std::uint16_t{0});
    body(*this);
    out_.patch_u16(start + 2, static_cast<std::uint16_t>(out_.size() - start));
    return true;
  }
  template <typename T, typename Fields>
  bool chain(const std::vector<T>& items, PayloadType type, std::size_t /*most*/, Fields&& item) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      framed(i + 1 < items.size() ? type : PayloadType::none,
             [&](FieldWriter& body) { item(body, items[i]); });
    }
    return true;
  }

  bool raw(ByteView value) {
    out_.bytes(value);
    return true;
  }
  [[nodiscard]] Bytes take() && { return std::move(out_).take(); }

 private:
  ByteWriter out_;
};

}  // namespace oakgate::wire
