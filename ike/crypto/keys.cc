#include "ike/crypto/keys.h"

#include <algorithm>
#include <array>

#include "ike/crypto/prf.h"

namespace oakgate::crypto {

namespace {

using MessageIdBytes = std::array<std::uint8_t, 4>;

MessageIdBytes wire_bytes(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

Result<Bytes> publish(Result<SecretBytes> hash) {
  if (!hash) return fail(std::move(hash.error()));
  return to_bytes(hash->view());
}

// K1 | K2 | ... cut to `length`: K1 = prf(key, seed), Kn = prf(key, K(n-1) | `chained`).
Result<SecretBytes> expand(IkeHash algorithm, const SecretBytes& key, std::initializer_list<ByteView> seed,
                           ByteView chained, std::size_t length) {
  SecretBytes out(length);
  auto block = prf(algorithm, key.view(), seed);
  for (std::size_t done = 0; block;) {
    const std::size_t take = std::min(length - done, block->size());
    std::copy_n(block->view().begin(), take, out.mutable_view().begin() + static_cast<std::ptrdiff_t>(done));
    done += take;
    if (done == length) return out;
    block = prf(algorithm, key.view(), {block->view(), chained});
  }
  return fail(std::move(block.error()));
}

// RFC 2409 Appendix B: "If the SKEYID_e is not long enough ... Ka = K1 | K2 | K3 and K1 = prf(SKEYID_e, 0),
// K2 = prf(SKEYID_e, K1)", where 0 is one zero byte.
Result<SecretBytes> cipher_key(IkeHash algorithm, IkeCipher cipher, const SecretBytes& skeyid_e) {
  const std::size_t length = info(cipher).key_bytes;
  if (length <= skeyid_e.size()) return skeyid_e.slice(0, length);
  const std::uint8_t zero = 0;
  return expand(algorithm, skeyid_e, {{&zero, 1}}, {}, length);
}

Result<Bytes> cut_hash(IkeHash algorithm, IkeCipher cipher, ByteView first, ByteView second) {
  auto digest = hash(algorithm, {first, second});
  if (digest) digest->resize(info(cipher).block_bytes);
  return digest;
}

}  // namespace

Result<SecretBytes> skeyid_for_signatures(IkeHash algorithm, ByteView nonce_i, ByteView nonce_r,
                                          const SecretBytes& g_xy) {
  Bytes nonces = to_bytes(nonce_i);
  nonces.insert(nonces.end(), nonce_r.begin(), nonce_r.end());
  return prf(algorithm, nonces, {g_xy.view()});
}

Result<SecretBytes> skeyid_for_encryption(IkeHash algorithm, SkeyidForm form, ByteView nonce_i,
                                          ByteView nonce_r, const CookiePair& cookies) {
  SecretBytes key(nonce_i.size() + nonce_r.size());
  std::copy(nonce_r.begin(), nonce_r.end(),
            std::copy(nonce_i.begin(), nonce_i.end(), key.mutable_view().begin()));
  if (form != SkeyidForm::ios) {
    auto hashed = hash(algorithm, {key.view()});
    if (!hashed) return fail(std::move(hashed.error()));
    key = SecretBytes(std::move(*hashed));
  }
  return prf(algorithm, key.view(), {cookies.initiator, cookies.responder});
}

// RFC 2409 section 5.3: "Ne_i = prf(Ni_b, CKY-I)", and Ke_i "in the manner described in Appendix B".
Result<SecretBytes> revised_mode_key(IkeHash algorithm, IkeCipher cipher, ByteView nonce,
                                     const Cookie& cookie) {
  const auto ne = prf(algorithm, nonce, {cookie});
  if (!ne) return fail(ne.error());
  return cipher_key(algorithm, cipher, *ne);
}

// RFC 2409 section 5:
//   SKEYID_d = prf(SKEYID, g^xy | CKY-I | CKY-R | 0)
//   SKEYID_a = prf(SKEYID, SKEYID_d | g^xy | CKY-I | CKY-R | 1)
//   SKEYID_e = prf(SKEYID, SKEYID_a | g^xy | CKY-I | CKY-R | 2)
Result<Phase1Keys> derive_phase1_keys(IkeHash algorithm, IkeCipher cipher, SecretBytes skeyid,
                                      const SecretBytes& g_xy, const CookiePair& cookies) {
  const auto link = [&](ByteView previous, std::uint8_t number) {
    return prf(algorithm, skeyid.view(),
               {previous, g_xy.view(), cookies.initiator, cookies.responder, {&number, 1}});
  };
  auto d = link({}, 0);
  if (!d) return fail(std::move(d.error()));
  auto a = link(d->view(), 1);
  if (!a) return fail(std::move(a.error()));
  auto e = link(a->view(), 2);
  if (!e) return fail(std::move(e.error()));
  auto key = cipher_key(algorithm, cipher, *e);
  if (!key) return fail(std::move(key.error()));
  return Phase1Keys{std::move(skeyid), std::move(*d), std::move(*a), std::move(*e), std::move(*key)};
}

Result<Bytes> phase1_iv(IkeHash algorithm, IkeCipher cipher, ByteView g_xi, ByteView g_xr) {
  return cut_hash(algorithm, cipher, g_xi, g_xr);
}

Result<Bytes> phase2_iv(IkeHash algorithm, IkeCipher cipher, ByteView last_phase1_block, MessageId id) {
  return cut_hash(algorithm, cipher, last_phase1_block, wire_bytes(id.value));
}

Result<Bytes> authentication_hash(IkeHash algorithm, const Phase1Keys& keys, Role sender,
                                  const AuthenticationInput& input) {
  const bool initiator = sender == Role::initiator;
  const Cookie& own = initiator ? input.cookies.initiator : input.cookies.responder;
  const Cookie& other = initiator ? input.cookies.responder : input.cookies.initiator;
  return publish(prf(algorithm, keys.skeyid.view(),
                     {input.own_public, input.other_public, own, other, input.sa_body, input.id_body}));
}

Result<Bytes> hash_1(IkeHash algorithm, const Phase1Keys& keys, MessageId id, ByteView rest) {
  return publish(prf(algorithm, keys.skeyid_a.view(), {wire_bytes(id.value), rest}));
}

Result<Bytes> hash_2(IkeHash algorithm, const Phase1Keys& keys, MessageId id, ByteView nonce_i,
                     ByteView rest) {
  return publish(prf(algorithm, keys.skeyid_a.view(), {wire_bytes(id.value), nonce_i, rest}));
}

Result<Bytes> hash_3(IkeHash algorithm, const Phase1Keys& keys, MessageId id, ByteView nonce_i,
                     ByteView nonce_r) {
  const std::uint8_t zero = 0;
  return publish(prf(algorithm, keys.skeyid_a.view(), {{&zero, 1}, wire_bytes(id.value), nonce_i, nonce_r}));
}

Result<SecretBytes> keymat(IkeHash algorithm, const SecretBytes& skeyid_d, const SecretBytes* g_qm_xy,
                           std::uint8_t protocol, Spi spi, ByteView nonce_i, ByteView nonce_r,
                           std::size_t length) {
  // RFC 2409 section 5.5: "KEYMAT = prf(SKEYID_d, g(qm)^xy | protocol | SPI | Ni_b | Nr_b)"; each further
  // block covers the one before and all of it again.
  SecretBytes seed((g_qm_xy == nullptr ? 0 : g_qm_xy->size()) + 5 + nonce_i.size() + nonce_r.size());
  auto* at = seed.mutable_view().data();
  const auto append = [&at](ByteView part) { at = std::copy(part.begin(), part.end(), at); };
  if (g_qm_xy != nullptr) append(g_qm_xy->view());
  append({&protocol, 1});
  append(wire_bytes(spi.value));
  append(nonce_i);
  append(nonce_r);
  return expand(algorithm, skeyid_d, {seed.view()}, seed.view(), length);
}

}  // namespace oakgate::crypto
