#include "ike/rsa_encryption.h"

#include <algorithm>
#include <array>

#include "ike/crypto/distinguished_name.h"
#include "ike/crypto/keys.h"
#include "ike/crypto/prf.h"
#include "ike/identities.h"
#include "ike/peer_keys.h"
#include "ike/phase1.h"
#include "ike/phase1_parts.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

using wire::Payload;
using wire::PayloadType;

constexpr std::size_t kPaddingBytes = 11;  // of an RSA block: RFC 8017 section 7.2.1
constexpr std::size_t kShortestNonce = 8;  // RFC 2409 section 5
constexpr std::size_t kLongestNonce = 256;
constexpr std::size_t kLongestIdBody = 4096;  // a distinguished name; the modulus bounds it long before

bool revised(const Run& run) {
  return run.sa.policy->authentication == AuthMethod::rsa_encr_rev;
}

EncryptedNonces& state_of(Run& run) {
  auto& state = phase1_of(run).encrypted;
  if (state == nullptr) state = std::make_unique<EncryptedNonces>();
  return *state;
}

SecretBytes& nonce_of(Run& run, Role role) {
  return role == Role::initiator ? state_of(run).nonce_i : state_of(run).nonce_r;
}

const Cookie& cookie_of(const Run& run, Role role) {
  return role == Role::initiator ? run.sa.cookies.initiator : run.sa.cookies.responder;
}

// ---- what we send, message 3 or 4

Result<Bytes> own_id_body(Run& run) {
  Identity identity = peer_of(run).config.local_identity;
  if (identity.kind == IdentityKind::dn && identity.der.empty()) {
    auto der = crypto::name_from_text(identity.text);
    if (!der) return fail(std::move(der.error()));
    identity.der = std::move(*der);
  }
  return phase1_id(identity, run.sa.local.address).body();
}

// Our key pair is there. Nonce and identity go to be encrypted, each as a block of its own; in the revised
// mode the nonce alone.
Result<void> encrypt_own(Run& run) {
  EncryptedNonces& state = state_of(run);
  run.exchange.key_exchange.ours = std::get<crypto::DhKeyPair>(std::move(*run.job->result));
  const auto key = crypto::public_key_info(state.peer_spki);
  if (!key) return fail(key.error());
  const std::size_t room = key->block_bytes - kPaddingBytes;
  auto id = own_id_body(run);
  if (!id) return fail(std::move(id.error()));
  if (!revised(run) && id->size() > room) {
    return fail(ErrorCode::key_too_small,
                "our identity " + peer_of(run).config.local_identity.to_string() + " has " +
                    std::to_string(id->size()) + " bytes, and does not fit the RSA key of " +
                    std::to_string(key->bits) + " bits that " + run.sa.peer + " has",
                "at most " + std::to_string(room) + " bytes",
                "use `identity: address`, a longer key at the peer, or rsa-encr-rev");
  }
  SecretBytes& nonce = nonce_of(run, run.sa.role);
  nonce = SecretBytes(run.core.random(std::min(run.core.limits().nonce_bytes, room)));
  state.own_id = std::move(*id);
  EncryptBlocks job{state.peer_spki, {}};
  job.contents.push_back(nonce.clone());
  if (!revised(run)) job.contents.emplace_back(ByteView(state.own_id));
  start_job(run, std::move(job));
  return {};
}

// Initiator. RFC 2409 section 5.2: "In the case where the responder has multiple public keys, a hash of the
// certificate the initiator is using to encrypt the ancillary information is passed". Of a key without a
// certificate it is the SubjectPublicKeyInfo that we hash.
Result<void> append_key_hash(Run& run, const RsaEncryption& keys, std::vector<Payload>& payloads) {
  if (run.sa.role == Role::responder || keys.peer_keys.size() < 2) return {};
  auto hash = crypto::hash(run.sa.policy->hash, {state_of(run).peer_spki});
  if (!hash) return fail(std::move(hash.error()));
  payloads.emplace_back(wire::HashPayload{std::move(*hash)});
  return {};
}

// HDR, KE, [HASH(1),] <ID>, <N>: the order of IOS.
Result<std::vector<Payload>> plain_payloads(Run& run, const RsaEncryption& keys, std::vector<Bytes> blocks) {
  std::vector<Payload> payloads;
  payloads.emplace_back(wire::KeyExchangePayload{run.exchange.key_exchange.ours->public_value});
  if (auto appended = append_key_hash(run, keys, payloads); !appended) return fail(appended.error());
  payloads.emplace_back(id_of_body(blocks.at(1)));
  payloads.emplace_back(wire::NoncePayload{std::move(blocks.at(0))});
  if (auto appended = append_nat_detection(run, payloads); !appended) return fail(appended.error());
  append_left_out(run, payloads);
  return payloads;
}

// HDR, [HASH(1),] <N>, <KE>, <ID>. RFC 2409 section 5.3: "All payloads-- in whatever order-- following the
// encrypted nonce MUST be encrypted with Ke_i or Ke_r".
Result<std::vector<Payload>> revised_payloads(Run& run, const RsaEncryption& keys,
                                              std::vector<Bytes> blocks) {
  std::vector<Payload> payloads;
  if (auto appended = append_key_hash(run, keys, payloads); !appended) return fail(appended.error());
  payloads.emplace_back(wire::NoncePayload{std::move(blocks.at(0))});
  const IsakmpPolicy& policy = *run.sa.policy;
  auto cipher = RevisedCipher::make(policy.hash, policy.encryption, nonce_of(run, run.sa.role).view(),
                                    cookie_of(run, run.sa.role));
  if (!cipher) return fail(std::move(cipher.error()));
  auto ke = cipher->seal(run.exchange.key_exchange.ours->public_value);
  if (!ke) return fail(std::move(ke.error()));
  payloads.emplace_back(wire::KeyExchangePayload{std::move(*ke)});
  auto id = cipher->seal(state_of(run).own_id);
  if (!id) return fail(std::move(id.error()));
  payloads.emplace_back(id_of_body(*id));
  std::vector<Payload> detection;
  if (auto appended = append_nat_detection(run, detection); !appended) return fail(appended.error());
  for (const Payload& payload : detection) {
    auto sealed = cipher->seal(std::get<wire::NatDetectionPayload>(payload).hash);
    if (!sealed) return fail(std::move(sealed.error()));
    payloads.emplace_back(wire::NatDetectionPayload{wire::type_of(payload), std::move(*sealed)});
  }
  return payloads;
}

Result<void> send_encrypted_nonce(Run& run) {
  const auto keys = rsa_encryption_of(peer_of(run));
  if (!keys) return fail(keys.error());
  auto blocks = std::get<std::vector<Bytes>>(std::move(*run.job->result));
  auto payloads = revised(run) ? revised_payloads(run, **keys, std::move(blocks))
                               : plain_payloads(run, **keys, std::move(blocks));
  if (!payloads) return fail(std::move(payloads.error()));
  return send_clear(run.core, run.sa, run.exchange, wire::ExchangeType::identity_protection, *payloads,
                    Expect::answer);
}

// ---- what we receive, message 3 or 4

// Identities are encrypted, so of any length.
Result<void> open_nonces(Run&, Received& message) {
  const ByteView body = wire::body_of(message.header, message.datagram.data);
  auto parsed =
      wire::parse_body(message.header.next_payload, body, wire::Padding::none, wire::Identities::opaque);
  if (!parsed) return fail(std::move(parsed.error()));
  message.body = std::move(*parsed);
  message.plaintext = to_bytes(body);
  return {};
}

const Bytes& body_of(const std::vector<EncryptedBody>& bodies, PayloadType type) {
  return std::find_if(bodies.begin(), bodies.end(),
                      [type](const EncryptedBody& body) { return body.type == type; })
      ->data;
}

// RFC 2409 section 5.3: "If the HASH payload is not sent, the first payload of the second message exchange
// MUST be the encrypted nonce."
Result<void> check_revised_order(const std::vector<EncryptedBody>& bodies) {
  if (bodies.front().type == PayloadType::nonce) return {};
  return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                "the encrypted nonce stands behind what is encrypted with its key",
                "the nonce first, as RFC 2409 section 5.3 has it");
}

// RFC 2409 section 5.2: "In this way the responder can determine which corresponding private key to use". The
// hash is in clear, and anybody's: like the address it only says which peer's SA this may be.
Result<void> take_key_hash(Run& run) {
  const auto* named = payload_of<wire::HashPayload>(run.message->body);
  if (named == nullptr) return {};
  if (const auto keys = rsa_encryption_of(peer_of(run)); !keys) return fail(keys.error());
  return choose_own_key(run.core, run.sa, run.message->datagram.remote.address, named->data);
}

// Nothing that depends on what the blocks hold happens before message 4 (5) is out.
Result<void> take_encrypted(Run& run) {
  if (run.sa.role == Role::responder) {
    phase1_of(run).encrypted.reset();  // of a message that proved false
    if (auto taken = take_key_hash(run); !taken) return taken;
  }
  const auto keys = rsa_encryption_of(peer_of(run));
  if (!keys) return fail(keys.error());
  EncryptedNonces& state = state_of(run);
  const NatForm* form = run.sa.capabilities.nat_traversal;
  const PayloadType nat_d = form == nullptr ? PayloadType::nat_d : nat_d_type(*form);
  state.received = encrypted_bodies(run.message->body, nat_d);
  state.local = run.message->datagram.local;
  state.remote = run.message->datagram.remote;
  DecryptBlocks job{(*keys)->own_key, {}};
  job.blocks.push_back({body_of(state.received, PayloadType::nonce), kShortestNonce, kLongestNonce});
  if (revised(run)) {
    if (auto checked = check_revised_order(state.received); !checked) return checked;
  } else {
    const Bytes& theirs = body_of(state.received, PayloadType::key_exchange);
    if (auto checked = check_public_value(run, theirs); !checked) return checked;
    run.exchange.key_exchange.theirs = theirs;
    if (auto read = read_nat(run); !read) return read;
    read_late_vendor_ids(run);
    job.blocks.push_back(
        {body_of(state.received, PayloadType::identification), kShortestIdBody, kLongestIdBody});
  }
  start_job(run, std::move(job));
  return {};
}

// What stands behind the nonce of the revised mode. With a nonce that was none all of it is garbage; that is
// kept in mind, and a public value of ours stands in for theirs.
Result<void> open_revised(Run& run) {
  EncryptedNonces& state = state_of(run);
  const IsakmpPolicy& policy = *run.sa.policy;
  const Role peer = other(run.sa.role);
  auto cipher =
      RevisedCipher::make(policy.hash, policy.encryption, nonce_of(run, peer).view(), cookie_of(run, peer));
  if (!cipher) return fail(std::move(cipher.error()));
  const std::size_t hash_bytes = info(policy.hash).bytes;
  state.nat_hashes.clear();
  for (const EncryptedBody& body : state.received) {
    if (body.type == PayloadType::nonce) continue;
    // Not every peer encrypts NAT-D, which is younger than this mode; encrypted ones are longer.
    const bool nat = body.type == PayloadType::nat_d || body.type == PayloadType::nat_d_draft;
    if (nat && body.data.size() == hash_bytes) {
      state.nat_hashes.push_back(body.data);
      continue;
    }
    auto opened = cipher->open(body.data);
    if (nat) {
      if (opened && opened->size() == hash_bytes) state.nat_hashes.push_back(to_bytes(opened->view()));
    } else if (body.type == PayloadType::key_exchange) {
      state.hopeless = state.hopeless || !opened || opened->size() != info(policy.group).public_bytes;
      if (opened) run.exchange.key_exchange.theirs = to_bytes(opened->view());
    } else if (body.type == PayloadType::identification) {
      state.hopeless = state.hopeless || !opened || opened->size() < kShortestIdBody;
      if (opened) state.peer_id = std::move(*opened);
    }
  }
  // A responder does not need it before HASH_I, and says nothing that garbage has told.
  if (run.sa.role == Role::responder) return {};
  return judge_nat(run, state.local, state.remote, state.nat_hashes);
}

Result<void> take_opened(Run& run) {
  auto contents = std::get<std::vector<SecretBytes>>(std::move(*run.job->result));
  nonce_of(run, other(run.sa.role)) = std::move(contents.at(0));
  if (revised(run)) return open_revised(run);
  state_of(run).peer_id = std::move(contents.at(1));
  return {};
}

// ---- g^xy and the keys

void begin_sharing(Run& run) {
  KeyExchange& ke = run.exchange.key_exchange;
  if (state_of(run).hopeless) ke.theirs = ke.ours->public_value;
  start_shared(run);
}

// In the first mode KE came in clear, and a value that is none is refused like any method's. In the revised
// mode that would tell whether the nonce decrypted: it shows at HASH.
Result<void> take_shared(Run& run) {
  std::optional<SecretBytes>& shared = run.exchange.key_exchange.shared;
  if (run.job->result) {
    shared = take_secret(run);
  } else if (revised(run)) {
    state_of(run).hopeless = true;
    shared = SecretBytes(run.core.random(info(run.sa.policy->group).secret_bytes));
  } else {
    Error error = std::move(run.job->result.error());
    run.tampered = error.notify.has_value();
    return fail(std::move(error));
  }
  return {};
}

Result<void> derive_form(Run& run, SkeyidForm form) {
  const EncryptedNonces& state = state_of(run);
  auto skeyid = crypto::skeyid_for_encryption(run.sa.policy->hash, form, state.nonce_i.view(),
                                              state.nonce_r.view(), run.sa.cookies);
  if (!skeyid) return fail(std::move(skeyid.error()));
  return derive_keys(run, std::move(*skeyid));
}

// The form that this peer uses, as far as we know.
SkeyidForm likely_form(const Peer& peer) {
  const SkeyidForm wanted = peer.config.rsa_encryption->skeyid;
  if (wanted != SkeyidForm::automatic) return wanted;
  return peer.skeyid == SkeyidForm::ios ? SkeyidForm::ios : SkeyidForm::rfc;
}

// ---- HASH_I and HASH_R

Result<void> send_hash(Run& run, Expect expect) {
  auto hash = hash_of(run, run.sa.role, state_of(run).own_id);
  if (!hash) return fail(std::move(hash.error()));
  std::vector<Payload> payloads{wire::HashPayload{std::move(*hash)}};
  append_initial_contact(run, payloads);
  return send_encrypted(run.core, run.sa, run.exchange, wire::ExchangeType::identity_protection, payloads,
                        expect);
}

// The message decrypts with IkeSa::keys, and its HASH is the peer's.
bool verifies(Run& run, Received& message) {
  if (!decrypt_message(run.sa, run.exchange.iv, message)) return false;
  const EncryptedNonces& state = state_of(run);
  const auto* hash = payload_of<wire::HashPayload>(message.body);
  const auto expected = hash_of(run, other(run.sa.role), state.peer_id.view());
  return hash != nullptr && expected && !state.hopeless && equal_constant_time(*expected, hash->data);
}

// With `skeyid: auto` a responder tries each form, and stays with the one that fits.
Result<void> open_hash(Run& run, Received& message) {
  EncryptedNonces& state = state_of(run);
  if (state.forms.empty() && verifies(run, message)) return {};
  for (EncryptedNonces::Form& candidate : state.forms) {
    std::swap(run.sa.keys, candidate.keys);
    if (verifies(run, message)) {
      state.form = candidate.form;
      return {};
    }
    std::swap(run.sa.keys, candidate.keys);
  }
  message.body = {};
  message.plaintext.clear();
  return reject(NotifyType::invalid_hash_information, ErrorCode::wrong_key,
                "the peer's HASH does not verify: it could not decrypt our nonce, we could not decrypt "
                "its, or it derives SKEYID in another way",
                "each side's public key at the other, and the same form of SKEYID",
                "compare the public keys of both sides (`oakgate pki show key`), and see `skeyid`");
}

// Past open_hash: the sender knows both nonces. Only now its identity counts.
Result<Identity> finish_proof(Run& run) {
  EncryptedNonces& state = state_of(run);
  run.authenticated = true;
  state.proved = true;
  keep_proof(run);
  if (revised(run) && run.sa.role == Role::responder) {
    if (auto judged = judge_nat(run, state.local, state.remote, state.nat_hashes); !judged) {
      return fail(std::move(judged.error()));
    }
    settle_nat(run);
  }
  auto proved = check_identity(run, id_of_body(state.peer_id.view()));
  if (proved) peer_of(run).skeyid = state.form;
  return proved;
}

void established(Run& run, Identity proved) {
  phase1_of(run).encrypted.reset();
  phase1_established(run, std::move(proved));
}

// ---- the initiator's handlers

Result<void> begin(Run& run) {
  const auto keys = rsa_encryption_of(peer_of(run));
  if (!keys) return fail(keys.error());
  state_of(run).peer_spki = (*keys)->peer_keys.front().spki;
  return encrypt_own(run);
}

Result<void> share(Run& run) {
  if (auto taken = take_opened(run); !taken) return taken;
  begin_sharing(run);
  return {};
}

Result<void> prove(Run& run) {
  if (auto taken = take_shared(run); !taken) return taken;
  state_of(run).form = likely_form(peer_of(run));
  if (auto derived = derive_form(run, state_of(run).form); !derived) return derived;
  if (run.sa.nat.any()) float_ports(run.sa);
  return send_hash(run, Expect::answer);
}

Result<void> take_proof(Run& run) {
  auto proved = finish_proof(run);
  if (!proved) return fail(std::move(proved.error()));
  established(run, std::move(*proved));
  return {};
}

// ---- the responder's handlers

Result<void> generate(Run& run) {
  if (auto taken = take_opened(run); !taken) return taken;
  EncryptedNonces& state = state_of(run);
  auto chosen = choose_peer_key(run.core, run.sa, state.remote.address, id_of_body(state.peer_id.view()));
  if (!chosen) return fail(std::move(chosen.error()));
  state.peer_spki = std::move(*chosen);
  start_job(run, DhGenerate{run.sa.policy->group});
  return {};
}

Result<void> answer(Run& run) {
  if (auto sent = send_encrypted_nonce(run); !sent) return sent;
  begin_sharing(run);
  return {};
}

Result<void> prepare_keys(Run& run) {
  if (auto taken = take_shared(run); !taken) return taken;
  EncryptedNonces& state = state_of(run);
  std::vector<SkeyidForm> forms{likely_form(peer_of(run))};
  if (peer_of(run).config.rsa_encryption->skeyid == SkeyidForm::automatic) {
    forms.push_back(forms.front() == SkeyidForm::ios ? SkeyidForm::rfc : SkeyidForm::ios);
  }
  state.forms.clear();
  for (const SkeyidForm form : forms) {
    if (auto derived = derive_form(run, form); !derived) return derived;
    state.forms.push_back({form, std::exchange(run.sa.keys, {})});
  }
  return {};
}

Result<void> take_and_answer_proof(Run& run) {
  auto proved = finish_proof(run);
  if (!proved) return fail(std::move(proved.error()));
  // Only an authenticated message moves an SA's ends: here it floats to port 4500.
  follow_proof(run);
  if (auto sent = send_hash(run, Expect::nothing); !sent) return sent;
  established(run, std::move(*proved));
  return {};
}

// ---- the tables

constexpr std::array kNoncePayloads{PayloadRule{PayloadType::key_exchange, 1, 1},
                                    PayloadRule{PayloadType::nonce, 1, 1},
                                    PayloadRule{PayloadType::identification, 1, 1},
                                    PayloadRule{PayloadType::hash, 0, 1},
                                    PayloadRule{PayloadType::certificate, 0, kManyPayloads},
                                    PayloadRule{PayloadType::certificate_request, 0, kManyPayloads},
                                    PayloadRule{PayloadType::nat_d, 0, kManyPayloads},
                                    PayloadRule{PayloadType::nat_d_draft, 0, kManyPayloads},
                                    PayloadRule{PayloadType::vendor_id, 0, kManyPayloads}};
constexpr std::array kHashPayloads{PayloadRule{PayloadType::hash, 1, 1},
                                   PayloadRule{PayloadType::notification, 0, kManyPayloads},
                                   PayloadRule{PayloadType::vendor_id, 0, kManyPayloads}};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfc = "RFC 2409 sections 5.2 and 5.3";
constexpr bool kTakesFailure = true;

constexpr std::array kInitiator{
    Step{State::mm_i_generating, kJob, false, kAny, {}, begin, State::mm_i_encrypting, kRfc},
    Step{State::mm_i_encrypting, kJob, false, kAny, {}, send_encrypted_nonce, State::mm_i_sent_ke, kRfc},
    Step{State::mm_i_sent_ke, kMessage, false, kAny, kNoncePayloads, take_encrypted, State::mm_i_decrypting,
         kRfc, open_nonces},
    Step{State::mm_i_decrypting, kJob, false, kAny, {}, share, State::mm_i_sharing, kRfc},
    Step{State::mm_i_sharing,
         kJob,
         false,
         kAny,
         {},
         prove,
         State::mm_i_sent_auth,
         kRfc,
         nullptr,
         kTakesFailure},
    Step{State::mm_i_sent_auth, kMessage, true, kAny, kHashPayloads, take_proof, State::established, kRfc,
         open_hash},
};
constexpr std::array kResponder{
    Step{State::mm_r_sent_sa, kMessage, false, kAny, kNoncePayloads, take_encrypted, State::mm_r_decrypting,
         kRfc, open_nonces},
    Step{State::mm_r_decrypting, kJob, false, kAny, {}, generate, State::mm_r_generating, kRfc},
    Step{State::mm_r_generating, kJob, false, kAny, {}, encrypt_own, State::mm_r_encrypting, kRfc},
    Step{State::mm_r_encrypting, kJob, false, kAny, {}, answer, State::mm_r_sharing, kRfc},
    Step{State::mm_r_sharing,
         kJob,
         false,
         kAny,
         {},
         prepare_keys,
         State::mm_r_sent_ke,
         kRfc,
         nullptr,
         kTakesFailure},
    Step{State::mm_r_sent_ke, kMessage, true, kAny, kHashPayloads, take_and_answer_proof, State::established,
         kRfc, open_hash},
};

}  // namespace

std::span<const Step> rsa_encryption_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

bool try_other_skeyid(const IkeSa& sa, Peer& peer) {
  const auto& keys = peer.config.rsa_encryption;
  if (sa.role == Role::responder || sa.state != State::mm_i_sent_auth || sa.phase1 == nullptr ||
      sa.phase1->encrypted == nullptr || sa.phase1->encrypted->proved || !keys ||
      keys->skeyid != SkeyidForm::automatic) {
    return false;
  }
  const bool first = sa.phase1->encrypted->form == SkeyidForm::rfc;
  peer.skeyid = first ? SkeyidForm::ios : SkeyidForm::rfc;
  return first;
}

Error rsa_encryption_silence(const IkeSa& sa, const std::string& who, const std::string& asked) {
  if (sa.state == State::mm_i_sent_auth) {
    return {
        ErrorCode::wrong_key,
        who + " did not answer our authentication" + asked +
            ": it could not decrypt our nonce, or derives SKEYID in another way",
        "the peer's HASH_R",
        "compare the peer's public key here with the peer's own (`show crypto key mypubkey rsa`), and see "
        "`skeyid`",
        {}};
  }
  return {ErrorCode::no_answer,
          who + " stopped answering" + asked + ": it may have no RSA keys with us",
          "message 4 of Main Mode",
          "see whether the peer has our public key (`oakgate pki show key` prints it), and whether large UDP "
          "datagrams are dropped on the way",
          {}};
}

}  // namespace oakgate::ike
