// OpenSSL's objects as owners, and its error queue as an Error. EVP interfaces of OpenSSL 3.0 only.
//
// Whoever calls OpenSSL drains the queue where the call failed, with openssl_failure(): an error left behind
// would be reported by somebody else's next failure.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <memory>
#include <string_view>

#include "ike/base/result.h"

namespace oakgate::crypto {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, OpensslDeleter<Free>>;

using BigNumber = Owned<BIGNUM, BN_clear_free>;
using Cipher = Owned<EVP_CIPHER, EVP_CIPHER_free>;
using CipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using Digest = Owned<EVP_MD, EVP_MD_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcGroup = Owned<EC_GROUP, EC_GROUP_free>;
using EcPoint = Owned<EC_POINT, EC_POINT_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Mac = Owned<EVP_MAC, EVP_MAC_free>;
using MacContext = Owned<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using Parameters = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using NumberContext = Owned<BN_CTX, BN_CTX_free>;
using ParameterBuilder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;

// ErrorCode::internal: `what` failed, with OpenSSL's reasons. Empties the calling thread's queue.
[[nodiscard]] tl::unexpected<Error> openssl_failure(std::string_view what);
// Empties the queue after a failure that has an answer of ours.
void drop_openssl_errors();

}  // namespace oakgate::crypto
