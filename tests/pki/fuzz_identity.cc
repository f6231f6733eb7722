// Any ID payload against any certificate. The first byte is the kind, the second the length of what is
// claimed; the certificate follows. Whatever passes stands in the certificate; names in text survive being
// read again.
#include <algorithm>

#include "ike/crypto/distinguished_name.h"
#include "pki/identity.h"

namespace {

using namespace oakgate;

void check_text(const std::string& text) {
  const auto der = crypto::name_from_text(text);
  if (!der) return;
  const auto printed = crypto::name_text(*der);
  if (!printed) __builtin_trap();
  const auto again = crypto::name_from_text(*printed);
  if (again && !crypto::same_name(*der, *again)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size < std::size_t{2} + data[1]) return 0;
  const ByteView claimed(data + 2, data[1]);
  const ByteView rest(data + 2 + data[1], size - 2 - data[1]);
  PeerProof proof;
  Identity& identity = proof.claimed;
  identity.kind = static_cast<IdentityKind>(data[0] % 4);
  identity.text.assign(claimed.begin(), claimed.end());
  check_text(identity.text);
  if (const auto address = IpAddress::from_bytes(claimed)) identity.address = *address;
  if (identity.kind == IdentityKind::dn) identity.der = to_bytes(claimed);
  proof.wanted = identity;
  const auto leaf = pki::Certificate::parse(rest);
  if (!leaf) return 0;
  if (!pki::check_identity(proof, *leaf)) return 0;
  const auto names = leaf->names();
  const auto same = [&identity](const std::string& name) { return pki::same_host_name(name, identity.text); };
  const bool there = identity.kind == IdentityKind::address
                         ? std::find(names.addresses.begin(), names.addresses.end(), identity.address) !=
                               names.addresses.end()
                         : identity.kind != IdentityKind::fqdn ||
                               std::any_of(names.host_names.begin(), names.host_names.end(), same);
  if (!there) __builtin_trap();
  return 0;
}
