#include "ike/encrypted_payloads.h"

#include <algorithm>

#include "ike/crypto/cipher.h"
#include "ike/crypto/keys.h"

namespace oakgate::ike {

using wire::PayloadType;

wire::IdPayload id_of_body(ByteView body) {
  Bytes head = to_bytes(body.first(std::min<std::size_t>(body.size(), 4)));
  head.resize(4);
  wire::IdPayload id;
  id.type = static_cast<wire::IdType>(head[0]);
  id.protocol = head[1];
  id.port = static_cast<std::uint16_t>(head[2] << 8 | head[3]);
  if (body.size() > 4) id.data = to_bytes(body.subspan(4));
  return id;
}

std::vector<EncryptedBody> encrypted_bodies(const wire::Body& body, PayloadType nat_d) {
  std::vector<EncryptedBody> found;
  for (const wire::Payload& payload : body.payloads) {
    if (const auto* ke = std::get_if<wire::KeyExchangePayload>(&payload)) {
      found.push_back({PayloadType::key_exchange, ke->data});
    } else if (const auto* id = std::get_if<wire::UnknownPayload>(&payload)) {
      if (id->type == PayloadType::identification) found.push_back({id->type, id->body});
    } else if (const auto* certificate = std::get_if<wire::CertificatePayload>(&payload)) {
      found.push_back({PayloadType::certificate, {certificate->encoding}});
      Bytes& data = found.back().data;
      data.insert(data.end(), certificate->data.begin(), certificate->data.end());
    } else if (const auto* nonce = std::get_if<wire::NoncePayload>(&payload)) {
      found.push_back({PayloadType::nonce, nonce->data});
    } else if (const auto* nat = std::get_if<wire::NatDetectionPayload>(&payload)) {
      if (nat->type == nat_d) found.push_back({nat_d, nat->hash});
    }
  }
  return found;
}

Result<RevisedCipher> RevisedCipher::make(IkeHash prf, IkeCipher cipher, ByteView nonce,
                                          const Cookie& cookie) {
  auto key = crypto::revised_mode_key(prf, cipher, nonce, cookie);
  if (!key) return fail(std::move(key.error()));
  // RFC 2409 section 5.3: "The IV for encrypting the first payload following the nonce is set to 0 (zero)."
  return RevisedCipher(cipher, std::move(*key), Bytes(info(cipher).block_bytes));
}

Result<Bytes> RevisedCipher::seal(ByteView body) {
  const std::size_t block = info(cipher_).block_bytes;
  SecretBytes padded(body.size() / block * block + block);
  std::copy(body.begin(), body.end(), padded.mutable_view().begin());
  padded.mutable_view().back() = static_cast<std::uint8_t>(padded.size() - body.size() - 1);
  auto sealed = crypto::encrypt(cipher_, key_, iv_, padded.view());
  if (sealed) iv_.assign(sealed->end() - static_cast<std::ptrdiff_t>(block), sealed->end());
  return sealed;
}

Result<SecretBytes> RevisedCipher::open(ByteView body) {
  const std::size_t block = info(cipher_).block_bytes;
  if (body.empty() || body.size() % block != 0) {
    return fail(ErrorCode::malformed, "an encrypted payload that is not whole blocks");
  }
  auto opened = crypto::decrypt(cipher_, key_, iv_, body);
  if (!opened) return fail(std::move(opened.error()));
  iv_ = to_bytes(body.last(block));
  SecretBytes padded(std::move(*opened));
  const std::size_t padding = std::size_t{padded.view().back()} + 1;
  if (padding > padded.size()) return fail(ErrorCode::malformed, "an encrypted payload without its padding");
  return padded.slice(0, padded.size() - padding);
}

}  // namespace oakgate::ike
