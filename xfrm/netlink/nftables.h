// nftables by netlink: tables, chains and rules as plain bytes, sent as one transaction. Only what this
// program's own tables need (xfrm/netlink/nft_guard.h, xfrm/soft/ipv6_admission.h); other tables are never
// touched.
//
// Byte order: attributes are big-endian, what `meta` loads is in the host's order, what is read out of a
// packet stays as it travels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ike/base/bytes.h"

struct mnl_socket;

namespace oakgate::nft {

// A rule is the statements' bytes one behind the other; the verdict last. A statement that does not match
// ends the rule, so does one whose field the packet does not have (ports of a fragment).
using Rule = Bytes;

// meta KEY == value; NFT_META_*.
[[nodiscard]] Bytes meta_is(std::uint32_t key, ByteView value);
[[nodiscard]] Bytes meta_is(std::uint32_t key, std::uint32_t value);
// The packet's bytes at `offset` of a header (NFT_PAYLOAD_*), the bits of `mask` alone if there is one: equal
// to `value`. At most 16 bytes.
[[nodiscard]] Bytes payload_is(std::uint32_t base, std::uint32_t offset, ByteView value, ByteView mask = {});
// Any of the mask's bits is set: in the header at `base`, or in an IPv6 extension header.
[[nodiscard]] Bytes payload_has(std::uint32_t base, std::uint32_t offset, ByteView mask);
[[nodiscard]] Bytes extension_has(std::uint8_t header, std::uint32_t offset, ByteView mask);
// meta mark set value
[[nodiscard]] Bytes set_mark(std::uint32_t value);
[[nodiscard]] Bytes verdict(int code);  // NF_ACCEPT, NF_DROP

// All of it happens, or none. Messages are added in the order in which they are to take effect.
class Transaction {
 public:
  explicit Transaction(std::uint8_t family);  // NFPROTO_IPV6, NFPROTO_INET

  void add_table(const std::string& name);  // one that exists is no error
  void remove_table(const std::string& name);
  void replace_table(const std::string& name);  // empty, whatever stood there
  // A chain of type filter that accepts what its rules do not judge.
  void add_chain(const std::string& table, const std::string& chain, std::uint32_t hook, int priority);
  void add_rule(const std::string& table, const std::string& chain, const Rule& rule);

  // As it is sent, and the number of the message that the kernel acknowledges. Ends the transaction.
  [[nodiscard]] Bytes finish();
  [[nodiscard]] std::uint32_t acknowledged() const { return acknowledged_; }

 private:
  void message(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource,
               const Bytes& attributes);
  void add(std::uint16_t type, std::uint16_t flags, const Bytes& attributes);

  std::uint8_t family_;
  Bytes batch_;
  std::uint32_t sequence_ = 0;
  std::size_t last_ = 0;  // where the last message begins
  std::uint32_t acknowledged_ = 0;
};

// A socket to the kernel's nftables, of the network namespace it was opened in. What it returns is 0 or an
// errno.
class Connection {
 public:
  [[nodiscard]] int open();
  [[nodiscard]] int commit(Transaction& transaction);
  // ENOENT: there is no such table.
  [[nodiscard]] int find_table(std::uint8_t family, const std::string& name);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  [[nodiscard]] int exchange(const Bytes& messages, std::uint32_t awaited);
  std::unique_ptr<mnl_socket, Close> socket_;
};

}  // namespace oakgate::nft
