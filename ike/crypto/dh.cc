#include "ike/crypto/dh.h"

#include <openssl/dh.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

namespace {

constexpr std::uint8_t kUncompressed = 0x04;  // SEC 1 section 2.3.3: x and y follow
constexpr std::uint8_t kGenerator = 2;        // of every MODP group, RFC 2409 section 6 and RFC 3526
// OpenSSL knows no named group 2; its exponents for group 5 have 200 bits, so group 2's have too.
constexpr int kGroup2ExponentBits = 200;

// What an OSSL_PARAM_BLD refers to until it has made its parameters.
struct Parts {
  BigNumber p;
  BigNumber g;
  Bytes point;
  BigNumber y;
  BigNumber x;
};

// The domain parameters of a group: by name, or by p and g.
bool push_group(OSSL_PARAM_BLD* builder, const DhGroupInfo& group, Parts& parts) {
  if (group.id != DhGroup::modp1024) {
    return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group.openssl, 0) == 1;
  }
  parts.p.reset(BN_get_rfc2409_prime_1024(nullptr));
  parts.g.reset(BN_new());
  return parts.p && parts.g && BN_set_word(parts.g.get(), kGenerator) == 1 &&
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_P, parts.p.get()) == 1 &&
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_G, parts.g.get()) == 1;
}

bool push_public(OSSL_PARAM_BLD* builder, const DhGroupInfo& group, ByteView value, Parts& parts) {
  if (group.elliptic) {
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
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, group.elliptic ? "EC" : "DH", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

// What is worth keeping of a group.
struct Group {
  Key parameters;
  Bytes p_minus_1;  // MODP only, as long as a public value
};

Group make_group(const DhGroupInfo& row) {
  Group group{make_key(row, {}, nullptr), {}};
  if (!group.parameters || row.elliptic) return group;
  BIGNUM* p = nullptr;
  if (EVP_PKEY_get_bn_param(group.parameters.get(), OSSL_PKEY_PARAM_FFC_P, &p) != 1) return {};
  const BigNumber owned(p);
  group.p_minus_1.resize(row.public_bytes);
  const bool done = BN_sub_word(p, 1) == 1 && BN_bn2binpad(p, group.p_minus_1.data(), row.public_bytes) > 0;
  return done ? std::move(group) : Group{};
}

const Group& find(DhGroup id) {
  static const auto groups = [] {
    std::vector<Group> all;
    for (const DhGroupInfo& row : dh_groups()) all.push_back(make_group(row));
    return all;
  }();
  return groups[static_cast<std::size_t>(&info(id) - dh_groups().data())];
}

// 1 < y < p-1 (RFC 6989 section 2.1), for y as long as p.
bool in_range(ByteView y, const Bytes& p_minus_1) {
  const bool above_1 =
      y.back() > 1 || std::any_of(y.begin(), y.end() - 1, [](std::uint8_t b) { return b != 0; });
  return above_1 && std::lexicographical_compare(y.begin(), y.end(), p_minus_1.begin(), p_minus_1.end());
}

tl::unexpected<Error> refuse_public(const DhGroupInfo& group, std::string_view why, std::string expected) {
  drop_openssl_errors();
  return reject(NotifyType::invalid_key_information, ErrorCode::malformed,
                "the peer's Diffie-Hellman value for " + std::string(group.name) + " is " + std::string(why),
                std::move(expected));
}

// Named groups bring their exponents' length; without one OpenSSL would take exponents as long as p.
bool set_exponent_length(EVP_PKEY_CTX* context, DhGroup group) {
  if (group != DhGroup::modp1024) return true;
  int bits = kGroup2ExponentBits;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_DH_PRIV_LEN, &bits),
                                   OSSL_PARAM_construct_end()};
  return EVP_PKEY_CTX_set_params(context, parameters) == 1;
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

}  // namespace

Result<DhKeyPair> dh_generate(DhGroup group) {
  const DhGroupInfo& row = info(group);
  const Group& fetched = find(group);
  const KeyContext context(
      fetched.parameters ? EVP_PKEY_CTX_new_from_pkey(nullptr, fetched.parameters.get(), nullptr) : nullptr);
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 || !set_exponent_length(context.get(), group) ||
      EVP_PKEY_generate(context.get(), &made) != 1) {
    return openssl_failure("make a Diffie-Hellman key pair");
  }
  const Key key(made);
  BIGNUM* private_value = nullptr;
  unsigned char* encoded = nullptr;
  const std::size_t encoded_size = EVP_PKEY_get1_encoded_public_key(key.get(), &encoded);
  const std::size_t prefix = row.elliptic ? 1 : 0;
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
  if (private_value.empty() || private_value.size() > row.public_bytes) {
    return fail(ErrorCode::internal, "a private value of the wrong size for " + std::string(row.name));
  }
  DhKeyPair pair{group, {}, SecretBytes(private_value)};
  if (row.elliptic) {
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
  // g^x is the secret shared with somebody whose public value is g.
  Bytes generator(row.public_bytes);
  generator.back() = kGenerator;
  pair.public_value = generator;
  const auto power = dh_shared(pair, generator);
  if (!power) return fail(power.error());
  pair.public_value = to_bytes(power->view());
  return pair;
}

Result<SecretBytes> dh_shared(const DhKeyPair& ours, ByteView peer_public) {
  const DhGroupInfo& row = info(ours.group);
  const Group& group = find(ours.group);
  if (!group.parameters) return openssl_failure("set up " + std::string(row.name));
  if (peer_public.size() != row.public_bytes) {
    return refuse_public(row, "of the wrong length, " + std::to_string(peer_public.size()) + " bytes",
                         std::to_string(row.public_bytes) + " bytes");
  }
  if (!row.elliptic && !in_range(peer_public, group.p_minus_1)) {
    return refuse_public(row, "out of range", "a value above 1 and below p-1");
  }
  const Key peer = make_key(row, peer_public, nullptr);
  if (!peer) return refuse_public(row, "not a point of the curve", "a point of the curve");
  const Key own = make_key(row, ours.public_value, &ours.private_value);
  const KeyContext context(own ? EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr) : nullptr);
  // The last 0: without OpenSSL's own validation of the peer's value, which for MODP groups costs seven times
  // the exponentiation and, after the checks above, finds nothing more.
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      (!row.elliptic && EVP_PKEY_CTX_set_dh_pad(context.get(), 1) != 1) ||
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

}  // namespace oakgate::crypto
