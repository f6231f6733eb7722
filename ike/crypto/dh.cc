#include "ike/crypto/dh.h"

#include <openssl/dh.h>

#include <algorithm>
#include <memory>

#include "ike/crypto/modp.h"
#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

namespace {

constexpr std::uint8_t kUncompressed = 0x04;  // SEC 1 section 2.3.3: x and y follow
constexpr std::uint8_t kGenerator = 2;        // of every safe prime group, RFC 2409 section 6 and RFC 3526

// What an OSSL_PARAM_BLD refers to until it has made its parameters.
struct Parts {
  BigNumber p;
  BigNumber g;
  Bytes point;
  BigNumber y;
  BigNumber x;
};

const char* key_type(DhKind kind) {
  switch (kind) {
    case DhKind::safe_prime:
      return "DH";
    case DhKind::subgroup:
      return "DHX";
    case DhKind::curve:
      return "EC";
    case DhKind::montgomery:
      return "X25519";
  }
  return "";
}

// The domain parameters of a group: by name, or by p and g.
bool push_group(OSSL_PARAM_BLD* builder, const DhGroupInfo& group, Parts& parts) {
  if (group.openssl != nullptr) {
    return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group.openssl, 0) == 1;
  }
  parts.p.reset(group.id == DhGroup::modp768 ? BN_get_rfc2409_prime_768(nullptr)
                                             : BN_get_rfc2409_prime_1024(nullptr));
  parts.g.reset(BN_new());
  return parts.p && parts.g && BN_set_word(parts.g.get(), kGenerator) == 1 &&
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_P, parts.p.get()) == 1 &&
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_G, parts.g.get()) == 1;
}

bool push_public(OSSL_PARAM_BLD* builder, const DhGroupInfo& group, ByteView value, Parts& parts) {
  if (group.kind == DhKind::curve) {
    parts.point = {kUncompressed};
    parts.point.insert(parts.point.end(), value.begin(), value.end());
    return OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, parts.point.data(),
                                            parts.point.size()) == 1;
  }
  parts.y.reset(BN_bin2bn(value.data(), static_cast<int>(value.size()), nullptr));
  return parts.y && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PUB_KEY, parts.y.get()) == 1;
}

bool push_private(OSSL_PARAM_BLD* builder, ByteView value, Parts& parts) {
  parts.x.reset(BN_secure_new());
  return parts.x && BN_bin2bn(value.data(), static_cast<int>(value.size()), parts.x.get()) != nullptr &&
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, parts.x.get()) == 1;
}

// A key of the group: parameters alone (nothing public), with a public value, or with both. Null with
// OpenSSL's queue filled if a public value is not on the curve.
Key make_key(const DhGroupInfo& group, ByteView public_value, const SecretBytes* private_value) {
  Parts parts;
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || !push_group(builder.get(), group, parts)) return nullptr;
  int selection = EVP_PKEY_KEY_PARAMETERS;
  if (!public_value.empty()) {
    if (!push_public(builder.get(), group, public_value, parts)) return nullptr;
    selection = EVP_PKEY_PUBLIC_KEY;
  }
  if (private_value != nullptr) {
    if (!push_private(builder.get(), private_value->view(), parts)) return nullptr;
    selection = EVP_PKEY_KEYPAIR;
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, key_type(group.kind), nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

// What is worth keeping of a group; the numbers are MODP's only.
struct Group {
  Key parameters;
  BigNumber p;
  BigNumber q;      // DhKind::subgroup: the order
  Bytes generator;  // as long as a public value, as p_minus_1 is
  Bytes p_minus_1;
};

BigNumber number_of(const Key& key, const char* name) {
  BIGNUM* number = nullptr;
  return BigNumber(EVP_PKEY_get_bn_param(key.get(), name, &number) == 1 ? number : nullptr);
}

Bytes padded(const BIGNUM* number, std::size_t size) {
  Bytes out(size);
  return BN_bn2binpad(number, out.data(), static_cast<int>(size)) > 0 ? out : Bytes{};
}

Group make_group(const DhGroupInfo& row) {
  Group group;
  if (row.kind == DhKind::montgomery) return group;
  group.parameters = make_key(row, {}, nullptr);
  if (!group.parameters || row.kind == DhKind::curve) return group;
  group.p = number_of(group.parameters, OSSL_PKEY_PARAM_FFC_P);
  if (row.kind == DhKind::subgroup) {
    group.q = number_of(group.parameters, OSSL_PKEY_PARAM_FFC_Q);
    if (!group.q) return {};
  }
  const BigNumber g = number_of(group.parameters, OSSL_PKEY_PARAM_FFC_G);
  const BigNumber less(group.p ? BN_dup(group.p.get()) : nullptr);
  if (!g || !less || BN_sub_word(less.get(), 1) != 1) return {};
  group.generator = padded(g.get(), row.public_bytes);
  group.p_minus_1 = padded(less.get(), row.public_bytes);
  return group.generator.empty() || group.p_minus_1.empty() ? Group{} : std::move(group);
}

const Group& find(DhGroup id) {
  static const auto groups = [] {
    std::vector<Group> all;
    for (const DhGroupInfo& row : dh_groups()) all.push_back(make_group(row));
    return all;
  }();
  return groups[static_cast<std::size_t>(&info(id) - dh_groups().data())];
}

// How many bits our exponents have: as OpenSSL's own, which are RFC 7919 appendix A's for groups of these
// sizes.
int exponent_bits(DhGroup group) {
  switch (group) {
    case DhGroup::modp2048:
      return 225;
    case DhGroup::modp3072:
      return 275;
    case DhGroup::modp4096:
      return 325;
    case DhGroup::modp6144:
      return 375;
    case DhGroup::modp8192:
      return 400;
    default:
      return 200;
  }
}

std::unique_ptr<ModpGroup> make_modp_group(DhGroup id) {
  const Group& group = find(id);
  const BigNumber g(group.p ? number_of(group.parameters, OSSL_PKEY_PARAM_FFC_G) : nullptr);
  return g ? ModpGroup::create(group.p.get(), g.get(), exponent_bits(id)) : nullptr;
}

template <DhGroup id>
const ModpGroup* lazy_modp_group() {
  static const std::unique_ptr<ModpGroup> made = make_modp_group(id);
  return made.get();
}

// A group with a safe prime, made when it is first used, for its tables take a millisecond; null: it could
// not be.
const ModpGroup* modp_group(const DhGroupInfo& row) {
  switch (row.id) {
    case DhGroup::modp768:
      return lazy_modp_group<DhGroup::modp768>();
    case DhGroup::modp1024:
      return lazy_modp_group<DhGroup::modp1024>();
    case DhGroup::modp1536:
      return lazy_modp_group<DhGroup::modp1536>();
    case DhGroup::modp2048:
      return lazy_modp_group<DhGroup::modp2048>();
    case DhGroup::modp3072:
      return lazy_modp_group<DhGroup::modp3072>();
    case DhGroup::modp4096:
      return lazy_modp_group<DhGroup::modp4096>();
    case DhGroup::modp6144:
      return lazy_modp_group<DhGroup::modp6144>();
    case DhGroup::modp8192:
      return lazy_modp_group<DhGroup::modp8192>();
    default:
      return nullptr;
  }
}

// 1 < y < p-1 (RFC 6989 section 2.1), for y as long as p.
bool in_range(ByteView y, const Bytes& p_minus_1) {
  const bool above_1 =
      y.back() > 1 || std::any_of(y.begin(), y.end() - 1, [](std::uint8_t b) { return b != 0; });
  return above_1 && std::lexicographical_compare(y.begin(), y.end(), p_minus_1.begin(), p_minus_1.end());
}

// r^q = 1 mod p: RFC 6989 section 2.2 wants it before a private value may serve twice; it keeps a small
// subgroup from telling our exponent modulo its order.
bool in_subgroup(ByteView y, const Group& group) {
  const BigNumber value(BN_bin2bn(y.data(), static_cast<int>(y.size()), nullptr));
  const BigNumber power(BN_new());
  const NumberContext context(BN_CTX_new());
  return value && power && context &&
         BN_mod_exp(power.get(), value.get(), group.q.get(), group.p.get(), context.get()) == 1 &&
         BN_is_one(power.get());
}

tl::unexpected<Error> refuse_public(const DhGroupInfo& group, std::string_view why, std::string expected) {
  drop_openssl_errors();
  return reject(NotifyType::invalid_key_information, ErrorCode::malformed,
                "the peer's Diffie-Hellman value for " + std::string(group.name) + " is " + std::string(why),
                std::move(expected));
}

// Its length and, of a MODP group, its range.
Result<void> check_public(const DhGroupInfo& row, ByteView value) {
  if (value.size() != row.public_bytes) {
    return refuse_public(row, "of the wrong length, " + std::to_string(value.size()) + " bytes",
                         std::to_string(row.public_bytes) + " bytes");
  }
  if (row.kind == DhKind::montgomery) return {};
  const Group& group = find(row.id);
  if (!group.parameters) return openssl_failure("set up " + std::string(row.name));
  if (row.kind != DhKind::curve && !in_range(value, group.p_minus_1)) {
    return refuse_public(row, "out of range", "a value above 1 and below p-1");
  }
  return {};
}

// Empty: what should have made them failed.
Result<DhKeyPair> checked_pair(const DhGroupInfo& row, Bytes value, SecretBytes private_value) {
  if (value.empty() || !in_range(value, find(row.id).p_minus_1))
    return openssl_failure("make a Diffie-Hellman key pair");
  return DhKeyPair{row.id, std::move(value), std::move(private_value)};
}

Result<DhKeyPair> modp_pair(const DhGroupInfo& row, SecretBytes private_value) {
  const ModpGroup* group = modp_group(row);
  if (group == nullptr) return openssl_failure("set up " + std::string(row.name));
  Bytes value = private_value.empty() ? Bytes{} : group->generator_power(private_value);
  return checked_pair(row, std::move(value), std::move(private_value));
}

// At most ModpBatch::kLanes of them.
std::vector<Result<DhKeyPair>> batch_of_pairs(const DhGroupInfo& row, const ModpGroup& group,
                                              std::size_t count) {
  std::vector<SecretBytes> exponents;
  std::vector<Bytes> values;
  std::vector<ModpBatch::Power> powers;
  for (std::size_t i = 0; i < count; ++i) {
    SecretBytes exponent = group.random_exponent();
    if (exponent.empty()) break;
    exponents.push_back(std::move(exponent));
    values.emplace_back(row.public_bytes);
    powers.push_back({{}, exponents.back().view(), values.back()});
  }
  if (!powers.empty()) group.batch()->generator_power(powers);
  std::vector<Result<DhKeyPair>> pairs;
  for (std::size_t i = 0; i < powers.size(); ++i)
    pairs.push_back(checked_pair(row, std::move(values[i]), std::move(exponents[i])));
  while (pairs.size() < count) pairs.push_back(checked_pair(row, {}, {}));
  return pairs;
}

Result<SecretBytes> modp_shared(const DhKeyPair& ours, ByteView peer_public) {
  const DhGroupInfo& row = info(ours.group);
  const ModpGroup* group = modp_group(row);
  if (group == nullptr) return openssl_failure("set up " + std::string(row.name));
  SecretBytes secret = group->power(peer_public, ours.private_value);
  if (secret.empty()) return openssl_failure("compute g^xy");
  return secret;
}

// At most ModpBatch::kLanes of one group, whose values are what they should be.
std::vector<SecretBytes> batch_of_secrets(const DhGroupInfo& row, const ModpBatch& batch,
                                          std::span<const DhExchange* const> exchanges) {
  std::vector<SecretBytes> secrets;
  std::vector<ModpBatch::Power> powers;
  for (const DhExchange* exchange : exchanges) {
    SecretBytes& secret = secrets.emplace_back(row.secret_bytes);
    powers.push_back({exchange->peer_public, exchange->ours->private_value.view(), secret.mutable_view()});
  }
  batch.power(powers);
  return secrets;
}

// The public value of scalar times generator, x|y; empty: the scalar is not within 1..n-1.
Result<Bytes> ec_public(const DhGroupInfo& row, const BIGNUM* scalar) {
  const EcGroup group(EC_GROUP_new_by_curve_name(EC_curve_nist2nid(row.openssl)));
  if (!group) return openssl_failure("make a curve");
  if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group.get())) >= 0) {
    return fail(ErrorCode::internal, "a private value outside " + std::string(row.name),
                "1 to the order less 1");
  }
  const EcPoint point(EC_POINT_new(group.get()));
  Bytes out(row.public_bytes + 1U);
  if (!point || EC_POINT_mul(group.get(), point.get(), scalar, nullptr, nullptr, nullptr) != 1 ||
      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(),
                         nullptr) != out.size()) {
    return openssl_failure("multiply a point");
  }
  out.erase(out.begin());
  return out;
}

// ---- Curve25519, RFC 7748 section 6.1

Result<DhKeyPair> raw_pair(DhGroup group, const Key& key) {
  const DhGroupInfo& row = info(group);
  DhKeyPair pair{group, Bytes(row.public_bytes), SecretBytes(row.secret_bytes)};
  std::size_t public_size = pair.public_value.size();
  std::size_t private_size = pair.private_value.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), pair.public_value.data(), &public_size) != 1 ||
      EVP_PKEY_get_raw_private_key(key.get(), pair.private_value.mutable_view().data(), &private_size) != 1 ||
      public_size != pair.public_value.size() || private_size != pair.private_value.size()) {
    return openssl_failure("make a key pair of " + std::string(row.name));
  }
  return pair;
}

Key raw_private(const DhGroupInfo& row, ByteView value) {
  return Key(
      EVP_PKEY_new_raw_private_key_ex(nullptr, key_type(row.kind), nullptr, value.data(), value.size()));
}

// RFC 7748 section 6.1: both sides "MAY check ... whether K is the all-zero value and abort if so"; we do,
// for it is what a point of small order gives whatever our scalar is. OpenSSL refuses it by itself.
Result<SecretBytes> montgomery_shared(const DhKeyPair& ours, ByteView peer_public) {
  const DhGroupInfo& row = info(ours.group);
  const Key own = raw_private(row, ours.private_value.view());
  const Key peer(EVP_PKEY_new_raw_public_key_ex(nullptr, key_type(row.kind), nullptr, peer_public.data(),
                                                peer_public.size()));
  const KeyContext context(own ? EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr) : nullptr);
  if (!peer || !context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1) {
    return openssl_failure("prepare a Diffie-Hellman exchange");
  }
  SecretBytes secret(row.secret_bytes);
  const SecretBytes zero(row.secret_bytes);
  std::size_t size = secret.size();
  if (EVP_PKEY_derive(context.get(), secret.mutable_view().data(), &size) != 1 || size != secret.size() ||
      secret == zero) {
    return refuse_public(row, "of small order", "a value that does not make g^xy zero");
  }
  return secret;
}

}  // namespace

Result<DhKeyPair> dh_generate(DhGroup group) {
  const DhGroupInfo& row = info(group);
  if (row.kind == DhKind::montgomery) {
    return raw_pair(group, Key(EVP_PKEY_Q_keygen(nullptr, nullptr, key_type(row.kind))));
  }
  if (row.kind == DhKind::safe_prime) {
    const ModpGroup* modp = modp_group(row);
    return modp_pair(row, modp == nullptr ? SecretBytes() : modp->random_exponent());
  }
  const Group& fetched = find(group);
  const KeyContext context(
      fetched.parameters ? EVP_PKEY_CTX_new_from_pkey(nullptr, fetched.parameters.get(), nullptr) : nullptr);
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 || EVP_PKEY_generate(context.get(), &made) != 1) {
    return openssl_failure("make a Diffie-Hellman key pair");
  }
  const Key key(made);
  BIGNUM* private_value = nullptr;
  unsigned char* encoded = nullptr;
  const std::size_t encoded_size = EVP_PKEY_get1_encoded_public_key(key.get(), &encoded);
  const std::size_t prefix = row.kind == DhKind::curve ? 1 : 0;
  DhKeyPair pair{group, {}, {}};
  if (encoded_size == row.public_bytes + prefix)
    pair.public_value.assign(encoded + prefix, encoded + encoded_size);
  OPENSSL_free(encoded);
  if (pair.public_value.empty() ||
      EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &private_value) != 1) {
    return openssl_failure("hand out a Diffie-Hellman key pair");
  }
  const BigNumber owned(private_value);
  pair.private_value = SecretBytes(static_cast<std::size_t>(BN_num_bytes(private_value)));
  BN_bn2bin(private_value, pair.private_value.mutable_view().data());
  return pair;
}

Result<DhKeyPair> dh_from_private(DhGroup group, ByteView private_value) {
  const DhGroupInfo& row = info(group);
  const bool exact = row.kind == DhKind::montgomery;
  if (private_value.empty() || private_value.size() > row.public_bytes ||
      (exact && private_value.size() != row.secret_bytes)) {
    return fail(ErrorCode::internal, "a private value of the wrong size for " + std::string(row.name));
  }
  if (row.kind == DhKind::montgomery) return raw_pair(group, raw_private(row, private_value));
  DhKeyPair pair{group, {}, SecretBytes(private_value)};
  if (row.kind == DhKind::curve) {
    const BigNumber scalar(BN_secure_new());
    if (!scalar ||
        BN_bin2bn(private_value.data(), static_cast<int>(private_value.size()), scalar.get()) == nullptr) {
      return openssl_failure("read a scalar");
    }
    auto point = ec_public(row, scalar.get());
    if (!point) return fail(std::move(point.error()));
    pair.public_value = std::move(*point);
    return pair;
  }
  if (row.kind == DhKind::safe_prime) return modp_pair(row, std::move(pair.private_value));
  // g^x is the secret shared with somebody whose public value is g.
  pair.public_value = find(group).generator;
  if (pair.public_value.empty()) return openssl_failure("set up " + std::string(row.name));
  const auto power = dh_shared(pair, pair.public_value);
  if (!power) return fail(power.error());
  pair.public_value = to_bytes(power->view());
  return pair;
}

Result<SecretBytes> dh_shared(const DhKeyPair& ours, ByteView peer_public) {
  const DhGroupInfo& row = info(ours.group);
  if (auto usable = check_public(row, peer_public); !usable) return fail(std::move(usable.error()));
  if (row.kind == DhKind::montgomery) return montgomery_shared(ours, peer_public);
  const Group& group = find(ours.group);
  const bool modp = row.kind != DhKind::curve;
  if (row.kind == DhKind::safe_prime) return modp_shared(ours, peer_public);
  if (row.kind == DhKind::subgroup && !in_subgroup(peer_public, group)) {
    return refuse_public(row, "outside the group's subgroup", "a value y with y^q = 1 mod p");
  }
  const Key peer = make_key(row, peer_public, nullptr);
  if (!peer) return refuse_public(row, "not a point of the curve", "a point of the curve");
  const Key own = make_key(row, ours.public_value, &ours.private_value);
  const KeyContext context(own ? EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr) : nullptr);
  // The last 0: without OpenSSL's own validation of the peer's value, which costs seven times the
  // exponentiation and, after the checks above, finds nothing more.
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      (modp && EVP_PKEY_CTX_set_dh_pad(context.get(), 1) != 1) ||
      EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1) {
    return openssl_failure("prepare a Diffie-Hellman exchange");
  }
  SecretBytes secret(row.secret_bytes);
  std::size_t size = secret.size();
  if (EVP_PKEY_derive(context.get(), secret.mutable_view().data(), &size) != 1 || size != secret.size()) {
    return openssl_failure("compute g^xy");
  }
  return secret;
}

// ---- Several at once

bool dh_batches(DhGroup group) {
  return info(group).kind == DhKind::safe_prime && ModpBatch::supported();
}

DhMeans dh_means(bool batches_wanted) {
  if (!batches_wanted) return {"OpenSSL", "one by one: `diffie_hellman: single`"};
  if (!ModpBatch::supported()) return {"OpenSSL", "one by one: the processor has no AVX-512 IFMA"};
  const ModpGroup* group = modp_group(info(DhGroup::modp2048));
  if (group == nullptr || group->batch() == nullptr)
    return {"OpenSSL", "one by one: what batches computed was not what OpenSSL computes"};
  return {"batches of up to " + std::to_string(ModpBatch::kLanes) + " (AVX-512 IFMA)",
          "several that negotiate at once are computed together, one alone by OpenSSL"};
}

std::vector<Result<DhKeyPair>> dh_generate(DhGroup group, std::size_t count) {
  const DhGroupInfo& row = info(group);
  const ModpGroup* modp = row.kind == DhKind::safe_prime ? modp_group(row) : nullptr;
  const bool batched = modp != nullptr && modp->batch() != nullptr && modp->batch()->has_generator();
  std::vector<Result<DhKeyPair>> pairs;
  while (pairs.size() < count) {
    const std::size_t next = std::min(ModpBatch::kLanes, count - pairs.size());
    if (!batched || next == 1) {
      pairs.push_back(dh_generate(group));
      continue;
    }
    for (auto& pair : batch_of_pairs(row, *modp, next)) pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::vector<Result<SecretBytes>> dh_shared(std::span<const DhExchange> exchanges) {
  std::vector<Result<SecretBytes>> secrets;
  std::vector<const DhExchange*> together;  // and where their secrets belong
  std::vector<std::size_t> places;
  for (const DhExchange& exchange : exchanges) {
    const DhGroupInfo& row = info(exchange.ours->group);
    const ModpGroup* modp = row.kind == DhKind::safe_prime ? modp_group(row) : nullptr;
    const bool batched = modp != nullptr && modp->batch() != nullptr &&
                         exchange.ours->private_value.size() <= modp->batch()->exponent_bytes() &&
                         (together.empty() || together.front()->ours->group == row.id) &&
                         check_public(row, exchange.peer_public);
    if (batched) {
      together.push_back(&exchange);
      places.push_back(secrets.size());
      secrets.emplace_back(SecretBytes());
    } else {
      secrets.push_back(dh_shared(*exchange.ours, exchange.peer_public));
    }
  }
  for (std::size_t first = 0; first < together.size(); first += ModpBatch::kLanes) {
    const auto next =
        std::span(together).subspan(first, std::min(ModpBatch::kLanes, together.size() - first));
    const DhGroupInfo& row = info(next.front()->ours->group);
    if (next.size() == 1) {
      secrets[places[first]] = dh_shared(*next.front()->ours, next.front()->peer_public);
      continue;
    }
    auto computed = batch_of_secrets(row, *modp_group(row)->batch(), next);
    for (std::size_t i = 0; i < next.size(); ++i) secrets[places[first + i]] = std::move(computed[i]);
  }
  return secrets;
}

}  // namespace oakgate::crypto
