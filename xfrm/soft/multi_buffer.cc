#include "xfrm/soft/multi_buffer.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <utility>

namespace oakgate::soft {

namespace {

struct ManagerDeleter {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

const char* instructions(IMB_ARCH arch) {
  switch (arch) {
    case IMB_ARCH_SSE:
      return "SSE";
    case IMB_ARCH_AVX:
      return "AVX";
    case IMB_ARCH_AVX2:
      return "AVX2";
    case IMB_ARCH_AVX512:
      return "AVX512";
    default:
      return nullptr;  // without AES instructions OpenSSL is as good
  }
}

// Its functions are what is used of it; the direct calls of GCM change nothing in it.
struct Manager {
  std::unique_ptr<IMB_MGR, ManagerDeleter> manager{alloc_mb_mgr(0)};
  MultiBufferLibrary library;

  Manager() {
    if (!manager) {
      library.why = "ipsec-mb cannot be set up";
      return;
    }
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager.get(), &arch);
    const char* const found = instructions(arch);
    library.name = std::string("ipsec-mb ") + imb_get_version_str();
    if (const int error = imb_get_errno(manager.get()); error != 0) {
      library.why = library.name + " cannot be set up: " + imb_get_strerror(error);
    } else if (found == nullptr) {
      library.why = "this CPU has no AES instructions that " + library.name + " knows";
    } else if ((manager->features & IMB_FEATURE_SELF_TEST) != 0 &&
               (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0) {
      library.why = library.name + " failed its own test";
    } else {
      library.name += std::string(" (") + found + ")";
      library.usable = true;
    }
  }
};

const Manager& manager() {
  static const Manager one;
  return one;
}

}  // namespace

const MultiBufferLibrary& multi_buffer_library() {
  return manager().library;
}

struct MultiBufferGcm::Keyed {
  gcm_key_data key{};
  gcm_context_data context{};
  aes_gcm_enc_dec_t seal = nullptr;
  aes_gcm_enc_dec_t open = nullptr;
};

std::unique_ptr<MultiBufferGcm> MultiBufferGcm::create(ByteView key) {
  if (!manager().library.usable) return nullptr;
  IMB_MGR* const functions = manager().manager.get();
  auto keyed = std::make_unique<Keyed>();
  switch (key.size()) {
    case IMB_GCM_128_KEY_LEN:
      functions->gcm128_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm128_enc;
      keyed->open = functions->gcm128_dec;
      break;
    case IMB_GCM_192_KEY_LEN:
      functions->gcm192_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm192_enc;
      keyed->open = functions->gcm192_dec;
      break;
    case IMB_GCM_256_KEY_LEN:
      functions->gcm256_pre(key.data(), &keyed->key);
      keyed->seal = functions->gcm256_enc;
      keyed->open = functions->gcm256_dec;
      break;
    default:
      return nullptr;
  }
  return std::unique_ptr<MultiBufferGcm>(new MultiBufferGcm(std::move(keyed)));
}

MultiBufferGcm::MultiBufferGcm(std::unique_ptr<Keyed> keyed) : keyed_(std::move(keyed)) {}

MultiBufferGcm::~MultiBufferGcm() {
  OPENSSL_cleanse(&keyed_->key, sizeof(keyed_->key));
  OPENSSL_cleanse(&keyed_->context, sizeof(keyed_->context));
}

void MultiBufferGcm::seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag) {
  keyed_->seal(&keyed_->key, &keyed_->context, data.data(), data.data(), data.size(), nonce.data(),
               aad.data(), aad.size(), tag.data(), tag.size());
}

void MultiBufferGcm::open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag) {
  keyed_->open(&keyed_->key, &keyed_->context, data.data(), data.data(), data.size(), nonce.data(),
               aad.data(), aad.size(), tag.data(), tag.size());
}

}  // namespace oakgate::soft
