#include "daemon/explain/reasons.h"

#include <algorithm>
#include <array>

namespace oakgate::explain {

namespace {

constexpr std::string_view kCheckPath =
    "peers: {peer}: address: {address}        # is this where the device is?\n"
    "let UDP 500, UDP 4500 and IP protocols 50 and 51 pass every firewall between, both ways";
constexpr std::string_view kMapLines =
    "crypto map|set peer|crypto isakmp key|isakmp key|tunnel-group|isakmp enable";

// In the order of Reason, a table for each of its sections.
constexpr std::array kProposals{
    ReasonRow{Reason::policy_differs, "policy-differs",
              "No ISAKMP policy in common with {peer} (IOS: \"atts are not acceptable\", \"no offers "
              "accepted\"): {differences}.",
              "", "", "", ""},
    ReasonRow{
        Reason::policy_refused, "policy-refused",
        "{peer} takes none of our ISAKMP policies (NO-PROPOSAL-CHOSEN): one of encryption, hash, group, "
        "authentication or a shorter life time differs in all of them.",
        "isakmp_policies: add what `show crypto isakmp policy` prints at the device, its lifetime too",
        "isakmp policy|ikev1 policy| encr | encryption | hash | group | authentication | lifetime ",
        "show crypto isakmp policy", "show isakmp policy"},
    ReasonRow{Reason::transforms_differ, "transforms-differ",
              "No transform set in common with {peer} for tunnel {tunnel} (IOS: \"atts are not acceptable\", "
              "\"SA not acceptable!\"): {differences}.",
              "", "", "", ""},
    ReasonRow{
        Reason::transforms_refused, "transforms-refused",
        "{peer} takes none of the transform sets of tunnel {tunnel} (NO-PROPOSAL-CHOSEN): its transform "
        "set, its mode or its `set pfs` differs.",
        "peers: {peer}: tunnels: {tunnel}: transform_sets, pfs: as `show crypto map` prints them at the "
        "device",
        "transform-set|mode transport|set pfs", "show crypto map", "show crypto map"},
    ReasonRow{Reason::pfs_differs, "pfs-differs",
              "Perfect forward secrecy differs for tunnel {tunnel}: {theirs} at {peer}, {ours} here.", "", "",
              "", ""},
    ReasonRow{
        Reason::selectors_differ, "selectors-differ",
        "The proxy identities differ (IOS: \"proxy identities not supported\"): {peer} asks for {theirs}, "
        "configured here is {ours} (local === remote). The access lists have to be exact mirrors.",
        "", "access-list|permit|match address", "", ""},
    ReasonRow{Reason::selectors_refused, "selectors-refused",
              "{peer} refuses our proxy identities {ours} (local === remote): no entry of its access list is "
              "their exact mirror.",
              "peers: {peer}: tunnels: {tunnel}: local, remote: the mirror of the device's access list",
              "access-list|permit|match address", "show crypto map", "show crypto map"},
};
constexpr std::array kProofs{
    ReasonRow{
        Reason::wrong_key, "wrong-key",
        "The pre-shared keys differ: what {peer} sends does not verify with ours, or ours not with its.",
        "peers: {peer}: pre_shared_key: {key}        # put the device's key there, then `oakgate reload`",
        "isakmp key|pre-shared-key|tunnel-group", "", ""},
    ReasonRow{
        Reason::no_rsa_key, "no-rsa-key", "An RSA key that encrypted nonces need is not known: {detail}.",
        "peers: {peer}: rsa_encr: {peer_key: NAME}, and public_keys: NAME: what `show crypto key mypubkey "
        "rsa` prints at the device",
        "", "crypto key pubkey-chain rsa", ""},
    ReasonRow{Reason::identity_differs, "identity-differs",
              "{peer} proved to be somebody else than is configured: {detail}; expected: {expected}.", "",
              "isakmp identity", "crypto isakmp identity address", "isakmp identity address"},
    ReasonRow{Reason::identity_refused, "identity-refused",
              "{peer} refuses the identity that we send (INVALID-ID-INFORMATION).",
              "gateway: identity: what the device expects of us (default: address)",
              "isakmp key|tunnel-group", "", ""},
    ReasonRow{Reason::unknown_caller, "unknown-caller",
              "{address} calls and is nobody's address here (IOS: \"No pre-shared key with {address}!\").",
              "peers: NAME: address: {address}", "", "", ""},
    ReasonRow{Reason::aggressive_refused, "aggressive-refused",
              "{peer} uses Aggressive Mode, {why}: {detail}.", "", "isakmp identity",
              "crypto isakmp identity address", "isakmp identity address"},
};
constexpr std::array kSilence{
    ReasonRow{
        Reason::silent_at_once, "silent",
        "{peer} ({address}) does not answer: our first message went to UDP port {port}, and {awaited} "
        "never came. UDP 500 is blocked on the way, the device is down or elsewhere, or it has no key or "
        "crypto map for {us}.",
        kCheckPath, kMapLines, "show crypto map\nshow ip route {us}", "show crypto map\nshow route"},
    ReasonRow{Reason::silent_in_key_exchange, "silent-in-key-exchange",
              "{peer} ({address}) answered our first message on UDP port 500 and not the second: {awaited} "
              "never came. Larger or fragmented UDP datagrams are lost, or the device has no key for {us}.",
              kCheckPath, "isakmp key|tunnel-group", "show crypto isakmp key", "show isakmp key"},
    ReasonRow{
        Reason::silent_on_4500, "silent-on-4500",
        "There is a NAT, and {peer} ({address}) answers on UDP port 500 but not on port {port}: {awaited} "
        "never came. UDP 4500 is blocked on the way, or the pre-shared keys differ.",
        "let UDP 4500 pass every firewall between, both ways\n"
        "peers: {peer}: nat_traversal: off        # if the device can do without",
        "isakmp key|nat-traversal|tunnel-group", "crypto ipsec nat-transparency udp-encapsulation",
        "isakmp nat-traversal 20"},
    ReasonRow{
        Reason::silent_after_proof, "silent-after-proof",
        "{peer} ({address}) does not answer our authentication: {awaited} never came. That is how "
        "different pre-shared keys show; IOS logs \"sanity check failed\".",
        "peers: {peer}: pre_shared_key: {key}        # put the device's key there, then `oakgate reload`",
        "isakmp key|pre-shared-key|tunnel-group", "", ""},
    ReasonRow{
        Reason::silent_after_certificate, "silent-after-certificate",
        "{peer} ({address}) does not answer our certificate and signature: {awaited} never came. It does "
        "not trust our CA, cannot reach its CRL, has a wrong clock, or expects another identity.",
        "gateway: identity: what the device expects, and our certificate holds",
        "ca trustpoint|isakmp identity", "show clock\nshow crypto ca certificates\nshow crypto ca crls",
        "show clock\nshow ca certificate\nshow ca crl"},
    ReasonRow{
        Reason::silent_in_quick_mode, "silent-in-quick-mode",
        "Phase 1 with {peer} is up, but it does not answer Quick Mode for tunnel {tunnel}: no crypto map "
        "entry matches, or it refuses without a word.",
        "peers: {peer}: tunnels: {tunnel}: compare local, remote, transform_sets and pfs with the device",
        "access-list|permit|transform-set|set pfs|set peer|match address|crypto map", "show crypto map",
        "show crypto map"},
    ReasonRow{Reason::dead, "dead-peer",
              "{peer} ({address}) was up and stopped answering (dead peer detection).", kCheckPath,
              "keepalive", "show crypto isakmp sa", "show isakmp sa"},
};
constexpr std::array kCertificates{
    ReasonRow{Reason::certificate_expired, "certificate-expired",
              "A certificate is past its end: {detail}. Or a clock is wrong.",
              "see `date` and `oakgate pki show certificates`\n"
              "oakgate pki enroll {trustpoint} --renew        # if it is ours",
              "", "show clock\ncrypto ca enroll {trustpoint}", "show clock\nca enroll {trustpoint} PASSWORD"},
    ReasonRow{Reason::certificate_not_yet_valid, "certificate-not-yet-valid",
              "A certificate is not valid yet, which mostly means that a clock is wrong: {detail}.",
              "see `date`; set the clock, and keep it by NTP", "",
              "show clock\nclock set HH:MM:SS DAY MONTH YEAR",
              "show clock\nclock set HH:MM:SS DAY MONTH YEAR"},
    ReasonRow{Reason::certificate_revoked, "certificate-revoked",
              "The certificate of {peer} is on a revocation list: {detail}.",
              "nothing here: the device needs a new certificate", "",
              "crypto key zeroize rsa\ncrypto key generate rsa\ncrypto ca enroll {trustpoint}",
              "ca zeroize rsa\nca generate rsa key 2048\nca enroll {trustpoint} PASSWORD"},
    ReasonRow{Reason::certificate_untrusted, "certificate-untrusted",
              "The certificate of {peer} does not chain to trustpoint {trustpoint}, or may not be used so: "
              "{detail}.",
              "trustpoints: {trustpoint}: ca: the certificate of the authority that issued the device's",
              "ca trustpoint", "crypto ca authenticate {trustpoint}\ncrypto ca enroll {trustpoint}",
              "ca authenticate {trustpoint}\nca enroll {trustpoint} PASSWORD"},
    ReasonRow{Reason::signature_invalid, "signature-invalid",
              "The signature of {peer} does not verify with its certificate: {detail}.",
              "see `oakgate monitor`: a certificate of an earlier key, or an attack", "",
              "crypto ca enroll {trustpoint}", "ca enroll {trustpoint} PASSWORD"},
    ReasonRow{Reason::crl_unavailable, "crl-unavailable",
              "The revocation list that is needed cannot be had: {detail}.",
              "oakgate pki crl request {trustpoint}        # says which server fails, and how\n"
              "trustpoints: {trustpoint}: revocation: crl-optional        # weaker: goes on without",
              "", "crypto ca crl request {trustpoint}", "ca crl request {trustpoint}"},
    ReasonRow{
        Reason::crl_invalid, "crl-invalid",
        "A revocation list is no good (IOS: \"New CRL Not Yet Valid (router time not synched to CA?)\"): "
        "{detail}.",
        "see `date`\noakgate pki crl request {trustpoint}", "",
        "show clock\ncrypto ca crl request {trustpoint}", "show clock\nca crl request {trustpoint}"},
    ReasonRow{Reason::no_certificate, "no-certificate", "A certificate is missing: {detail}.",
              "oakgate pki show trustpoints        # tells what is missing here\n"
              "oakgate pki enroll {trustpoint}",
              "ca trustpoint", "crypto ca enroll {trustpoint}", "ca enroll {trustpoint} PASSWORD"},
    ReasonRow{Reason::key_too_small, "key-too-small", "A key is smaller than is allowed: {detail}.",
              "trustpoints: {trustpoint}: allow_weak: {algorithms: [rsa-1024], until: DATE, reason: WHY}", "",
              "crypto key generate rsa modulus 2048", "ca generate rsa key 2048"},
    ReasonRow{Reason::certificate_refused, "certificate-refused",
              "{peer} refuses our certificate or signature: {detail}.",
              "gateway: identity: what the device expects, and our certificate holds", "ca trustpoint",
              "crypto ca authenticate {trustpoint}\nshow clock\nshow crypto ca crls",
              "ca authenticate {trustpoint}\nshow clock\nshow ca crl"},
};
constexpr std::array kRest{
    ReasonRow{Reason::waiver_ended, "waiver-ended",
              "The allow_weak of {peer} is past its end date, and it needs weak algorithms: it stays down.",
              "peers: {peer}: allow_weak: until: a later date        # or better algorithms on both sides",
              "isakmp policy|ikev1 policy| encr | encryption | hash | group |transform-set", "", ""},
    ReasonRow{Reason::address_unknown, "address-unknown",
              "It is not known where {peer} is, or which of our addresses reaches it: {detail}.",
              "peers: {peer}: address: an address, or a host name that resolves\n"
              "see `ip route get` its address, and `gateway: listen`",
              "", "", ""},
    ReasonRow{Reason::plane_refused, "data-plane-refused", "The data plane refused the SAs: {detail}.",
              "peers: {peer}: tunnels: {tunnel}: transform_sets: algorithms that this machine has",
              "transform-set", "", ""},
    ReasonRow{Reason::xauth_asked, "xauth-asked",
              "{peer} asks for a user's name and password (XAUTH), which gateways do not have.",
              "nothing here: the device takes us for a remote-access client", "",
              "crypto isakmp key ******** address {us} no-xauth",
              "isakmp key ******** address {us} netmask 255.255.255.255 no-xauth no-config-mode"},
    ReasonRow{Reason::limit_reached, "limit-reached", "A limit was reached: {detail}.",
              "gateway: half_open: {total, per_source}        # if the callers are wanted", "", "", ""},
    ReasonRow{Reason::cancelled, "cancelled", "It was ended before it was done: {detail}.",
              "oakgate up {peer}", "", "", ""},
    ReasonRow{Reason::malformed, "malformed", "A message of {peer} could not be used: {detail}.",
              "oakgate monitor        # shows each such message as it comes", "", "debug crypto isakmp",
              "debug crypto isakmp"},
    ReasonRow{Reason::other, "other", "{detail}.", "", "", "debug crypto isakmp", "debug crypto isakmp"},
};

template <std::size_t... Sizes>
constexpr auto joined(const std::array<ReasonRow, Sizes>&... tables) {
  std::array<ReasonRow, (Sizes + ...)> all{};
  auto* to = all.begin();
  ((to = std::copy(tables.begin(), tables.end(), to)), ...);
  return all;
}
constexpr std::array kReasons = joined(kProposals, kProofs, kSilence, kCertificates, kRest);
static_assert(kReasons.size() == static_cast<std::size_t>(Reason::other) + 1);

constexpr std::array kAttributes{
    AttributeRow{"encryption", " encr | encryption "},
    AttributeRow{"hash", " hash "},
    AttributeRow{"group", " group "},
    AttributeRow{"authentication", " authentication "},
    AttributeRow{"protocols", "transform-set"},
    AttributeRow{"cipher", "transform-set"},
    AttributeRow{"integrity", "transform-set"},
    AttributeRow{"ah", "transform-set"},
    AttributeRow{"compression", "transform-set"},
    AttributeRow{"mode", "transform-set|mode transport"},
    AttributeRow{"esn", ""},
    AttributeRow{"pfs", "set pfs"},
};

}  // namespace

const ReasonRow& reason_row(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)];
}
std::span<const ReasonRow> reason_table() {
  return kReasons;
}
std::span<const AttributeRow> attribute_table() {
  return kAttributes;
}

}  // namespace oakgate::explain
