#include "ike/certificates.h"

#include <algorithm>
#include <array>

#include "ike/crypto/distinguished_name.h"
#include "ike/peer_keys.h"
#include "ike/phase1_parts.h"

namespace oakgate::ike {

namespace {

using wire::Payload;

// RFC 2408 section 3.9.
constexpr std::uint8_t kEncodingPkcs7 = 1;
constexpr std::uint8_t kEncodingSignature = 4;
constexpr std::uint8_t kEncodingCrl = 7;

const TrustpointState* trustpoint_of(Core& core, const Peer& peer) {
  const auto& trustpoints = core.state().trustpoints;
  const auto found = trustpoints.find(peer.config.trustpoint);
  return found == trustpoints.end() ? nullptr : &found->second;
}

// RFC 4754 section 3: the method's number names hash and curve together.
crypto::KeyKind key_for(const IsakmpPolicy& policy) {
  if (policy.authentication == AuthMethod::rsa_sig) return crypto::KeyKind::rsa;
  switch (policy.hash) {
    case IkeHash::sha384:
      return crypto::KeyKind::ec_p384;
    case IkeHash::sha512:
      return crypto::KeyKind::ec_p521;
    default:
      return crypto::KeyKind::ec_p256;
  }
}

std::string_view key_name(crypto::KeyKind kind) {
  static constexpr std::array<std::string_view, 4> kNames{"an RSA", "a P-256", "a P-384", "a P-521"};
  return kNames[static_cast<std::size_t>(kind)];
}

void say_identity(Run& run, EventId id, std::vector<Field> fields) {
  Event event = run.core.event(id, run.sa);
  event.fields = std::move(fields);
  run.core.raise(std::move(event));
}

template <typename T>
bool holds(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

Result<Identity> own_name(Run& run, const OwnCertificate& own, const Identity& wanted) {
  Identity identity = wanted;
  identity.der = own.subject;
  if (!wanted.text.empty()) {
    auto der = crypto::name_from_text(wanted.text);
    if (!der) return fail(std::move(der.error()));
    if (!crypto::same_name(*der, own.subject)) {
      say_identity(run, EventId::own_identity_unproved, {{"identity", wanted.to_string()}});
      identity.der = std::move(*der);
    }
  }
  auto text = crypto::name_text(identity.der);
  if (!text) return fail(std::move(text.error()));
  identity.text = std::move(*text);
  return identity;
}

Identity own_address(Run& run, const OwnCertificate& own, const Identity& wanted) {
  Identity identity = wanted;
  if (identity.address.is_any()) identity.address = run.sa.local.address;
  if (holds(own.addresses, identity.address)) return identity;
  if (own.host_names.empty()) {
    say_identity(run, EventId::own_identity_unproved, {{"identity", identity.to_string()}});
    return identity;
  }
  const Identity changed{IdentityKind::fqdn, {}, own.host_names.front()};
  say_identity(run, EventId::own_identity_changed,
               {{"from", identity.to_string()}, {"to", changed.to_string()}});
  return changed;
}

}  // namespace

Result<const OwnCertificate*> own_certificate(Core& core, const Peer& peer, const IsakmpPolicy& policy) {
  const TrustpointState* trustpoint = trustpoint_of(core, peer);
  const std::string& name = peer.config.trustpoint;
  if (trustpoint == nullptr || !trustpoint->own) {
    const std::string why = trustpoint == nullptr || trustpoint->why_none.empty()
                                ? "trustpoint " + name + " has no certificate yet"
                                : trustpoint->why_none;
    return fail(ErrorCode::no_certificate, "no certificate to prove ourselves with: " + why,
                "a certificate of trustpoint " + name,
                "`oakgate pki enroll " + name + "`, or put the certificate into the trustpoint's file");
  }
  const crypto::KeyKind needed = key_for(policy);
  if (trustpoint->own->algorithm != needed) {
    return fail(ErrorCode::no_certificate,
                "the certificate of trustpoint " + name + " has " +
                    std::string(key_name(trustpoint->own->algorithm)) + " key, which does not fit policy " +
                    std::to_string(policy.number) + " (" + to_string(policy) + ")",
                std::string(key_name(needed)) + " key",
                "choose a policy whose authentication and hash fit the key, or enroll with another key");
  }
  return &*trustpoint->own;
}

namespace {

std::optional<Error> why_unusable(Core& core, const Peer& peer, const IsakmpPolicy& policy) {
  if (info(policy.authentication).signs) {
    if (auto own = own_certificate(core, peer, policy); !own) return std::move(own.error());
  }
  if (info(policy.authentication).encrypts) {
    if (auto keys = rsa_encryption_of(peer); !keys) return std::move(keys.error());
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<IsakmpPolicy>> usable_policies(Core& core, const Peer& peer) {
  std::vector<IsakmpPolicy> usable;
  for (const IsakmpPolicy& policy : peer.config.policies) {
    if (!why_unusable(core, peer, policy)) usable.push_back(policy);
  }
  if (usable.empty() && !peer.config.policies.empty())
    return fail(*why_unusable(core, peer, peer.config.policies.front()));
  return usable;
}

Error with_unusable(Core& core, const Peer& peer, Error error) {
  for (const IsakmpPolicy& policy : peer.config.policies) {
    if (const auto why = why_unusable(core, peer, policy)) {
      error.expected += "; policy " + std::to_string(policy.number) + " (" + to_string(policy) +
                        ") was left out: " + why->text;
      return error;
    }
  }
  return error;
}

Result<Identity> own_identity(Run& run, const OwnCertificate& own) {
  const Identity& wanted = peer_of(run).config.local_identity;
  switch (wanted.kind) {
    case IdentityKind::address:
      return own_address(run, own, wanted);
    case IdentityKind::dn:
      return own_name(run, own, wanted);
    case IdentityKind::fqdn:
    case IdentityKind::user_fqdn:
      break;
  }
  const auto& names = wanted.kind == IdentityKind::fqdn ? own.host_names : own.user_names;
  if (!holds(names, wanted.text))
    say_identity(run, EventId::own_identity_unproved, {{"identity", wanted.to_string()}});
  return wanted;
}

void read_certificate_requests(Run& run) {
  for (const auto* request : payloads_of<wire::CertificateRequestPayload>(run.message->body)) {
    if (request->encoding != kEncodingSignature && request->encoding != kEncodingPkcs7) continue;
    phase1_of(run).certificate_wanted = true;
    const auto name = crypto::name_text(request->authority);
    Event event = run.core.event(EventId::certificate_requested, run.sa);
    event.fields = {{"authority", request->authority.empty() ? "any authority"
                                  : name                     ? *name
                                                             : "an authority without a proper name"}};
    event.authenticated = false;
    run.core.raise(std::move(event));
  }
}

void append_certificate_requests(Run& run, const IsakmpPolicy& policy, std::vector<Payload>& payloads) {
  if (!info(policy.authentication).signs) return;
  // IOS withholds its certificate from who does not ask.
  const TrustpointState* trustpoint = trustpoint_of(run.core, peer_of(run));
  if (trustpoint == nullptr) return;
  std::size_t count = 0;
  for (const Bytes& name : trustpoint->ca_names) {
    if (++count > kMaxAuthorities) return;
    payloads.emplace_back(wire::CertificateRequestPayload{kEncodingSignature, name});
  }
}

void append_certificates(Run& run, const OwnCertificate& own, std::vector<Payload>& payloads) {
  const SendCertificate when = peer_of(run).config.send_certificate;
  if (when == SendCertificate::never) return;
  if (when == SendCertificate::on_request && !phase1_of(run).certificate_wanted) return;
  payloads.emplace_back(wire::CertificatePayload{kEncodingSignature, own.certificate});
  for (const Bytes& behind : own.chain) {
    payloads.emplace_back(wire::CertificatePayload{kEncodingSignature, behind});
  }
}

Result<std::vector<CertificateBlob>> read_certificates(const Run& run) {
  std::vector<CertificateBlob> certificates;
  std::size_t bytes = 0;
  const auto received = payloads_of<wire::CertificatePayload>(run.message->body);
  if (received.size() > kMaxCertificates) {
    return reject(NotifyType::invalid_certificate, ErrorCode::malformed,
                  "the peer sends " + std::to_string(received.size()) + " certificates",
                  "at most " + std::to_string(kMaxCertificates));
  }
  for (const auto* certificate : received) {
    bytes += certificate->data.size();
    if (bytes > kMaxCertificateBytes) {
      return reject(
          NotifyType::invalid_certificate, ErrorCode::malformed,
          "the peer's certificates are longer than " + std::to_string(kMaxCertificateBytes) + " bytes",
          "at most " + std::to_string(kMaxCertificateBytes) + " bytes in all");
    }
    if (certificate->encoding == kEncodingPkcs7 || certificate->encoding == kEncodingSignature ||
        certificate->encoding == kEncodingCrl) {
      certificates.push_back({certificate->encoding, certificate->data});
    }
  }
  return certificates;
}

}  // namespace oakgate::ike
