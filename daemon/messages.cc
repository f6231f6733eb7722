#include "daemon/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace oakgate {

namespace {

// Events in the order of EventId, a table for each of its sections. An id is for ever: a message that means
// something else gets another one (`uuidgen -r`).
constexpr std::array kPhase1{
    MessageRow{"phase1-started", "e11e53c7bb124c538ee6a9f70d55fa16",
               "IKE negotiation begun: @OAKGATE_SUBJECT@",
               "Main or Aggressive Mode has begun, by us or by the peer. An ISAKMP SA or a failure follows."},
    MessageRow{"phase1-policy-chosen", "680ce5d1e45d49bfb4b504b4ff04a590",
               "ISAKMP policy agreed: @OAKGATE_SUBJECT@",
               "One of the offered ISAKMP policies is acceptable to both sides."},
    MessageRow{"phase1-no-policy", "256500faca6f4ade95b548ce5f979bf7",
               "No ISAKMP policy in common: @OAKGATE_SUBJECT@",
               "No offered combination of encryption, hash, group, authentication and life time is "
               "acceptable. `oakgate explain` sets theirs against ours, attribute by attribute, and says "
               "which line mends it here or at the peer's device."},
    MessageRow{"phase1-authenticated", "90a4eb11d18d475eb4fe9c101664811d",
               "Peer has proved itself: @OAKGATE_SUBJECT@",
               "The peer's key, signature or nonce is right, and its identity is the configured one."},
    MessageRow{"phase1-established", "7b1145eddf9c4e5b8ec04b910db14a53", "ISAKMP SA is up: @OAKGATE_SUBJECT@",
               "Both sides have proved themselves. Tunnels can be negotiated now. `oakgate show crypto "
               "isakmp sa` lists it as QM_IDLE."},
    MessageRow{
        "phase1-failed", "98373b01499d4f03bd7ba251c937c632", "IKE negotiation failed: @OAKGATE_SUBJECT@",
        "No ISAKMP SA came about. The message ends with the reason and with what mends it; `oakgate explain` "
        "has every failed negotiation in detail, silence included: which message got no answer, and whether "
        "UDP ports 500 or 4500 may be blocked. Tunnels that start by themselves are tried again."},
    MessageRow{
        "phase1-deleted", "d9a39fb2ac594e9181e7b86f880782b0", "ISAKMP SA deleted: @OAKGATE_SUBJECT@",
        "One of the sides has deleted it; the message says which, and why. The tunnels' own SAs may go on."},
    MessageRow{"phase1-rekeying", "0c5090fbf1ec466683ba4ab394bf1814",
               "ISAKMP SA is being renewed: @OAKGATE_SUBJECT@",
               "Its life time nears its end. A new one is negotiated while the old one serves."},
    MessageRow{"phase1-expired", "c861d3536def40a0b9373d986bf3af38",
               "ISAKMP SA has expired: @OAKGATE_SUBJECT@",
               "Its life time has ended without a successor: none was needed, or its negotiation failed, as "
               "an earlier message then says."},
};
constexpr std::array kPhase2{
    MessageRow{"phase2-started", "a2d6bfe98435459d8ecd4641d0f06c01",
               "Tunnel negotiation begun: @OAKGATE_SUBJECT@",
               "Quick Mode has begun for the tunnel's pair of networks."},
    MessageRow{"phase2-established", "f7ec418a4a5d44feb94a644590cdb464", "Tunnel is up: @OAKGATE_SUBJECT@",
               "A pair of IPsec SAs carries its traffic. `oakgate show crypto ipsec sa` shows them with "
               "their counters."},
    MessageRow{"phase2-failed", "0fe985678c494216977f4cec8346496b",
               "Tunnel negotiation failed: @OAKGATE_SUBJECT@",
               "Quick Mode came to no pair of SAs. The message ends with the reason; `oakgate explain` has "
               "it in detail, with the lines that mend it."},
    MessageRow{"phase2-no-proposal", "e3a037614942437093bb0a93b66980b3",
               "No transform set in common: @OAKGATE_SUBJECT@",
               "No offered combination of protocol, algorithms, mode and PFS group is acceptable. `oakgate "
               "explain` sets theirs against ours."},
    MessageRow{"phase2-proxy-ids", "4c54cd17e6364801837e6d2e50d557ed",
               "Proxy identities do not match: @OAKGATE_SUBJECT@",
               "The networks that the peer wants protected are not those of any tunnel here. Each side's "
               "access list or selectors must be the other's mirror; `oakgate explain` has both."},
    MessageRow{"phase2-narrowed", "9368cce9ea76431f911de69978fa09c0",
               "Peer asked for a part of a tunnel: @OAKGATE_SUBJECT@",
               "Its proxy identities lie within the configured ones, which `accept: subset` allows. It gets "
               "a pair of SAs for them alone."},
    MessageRow{
        "phase2-adopted", "526d20bc549f47adb4cd20fa4400b8a7", "Tunnel carried on: @OAKGATE_SUBJECT@",
        "An earlier run's SAs were still in the kernel, as `on_exit: keep` wants, and are carried on with."},
    MessageRow{"phase2-moved", "256ad133f9224083a428c3e323423314",
               "Tunnel has moved with its peer: @OAKGATE_SUBJECT@",
               "The peer goes on at another address or port, as when a NAT forgets its translation. The "
               "tunnel's SAs go on there, with their keys and sequence numbers."},
    MessageRow{"phase2-rekeying", "1230b3ae0dc94288b51b746efe804d24",
               "Tunnel is being renewed: @OAKGATE_SUBJECT@",
               "Its SAs near the end of their life time or volume. New ones are negotiated while the old "
               "ones serve."},
    MessageRow{"phase2-deleted", "f3ec74ae2e73425896dcd1e3721cd859",
               "Tunnel's SAs deleted: @OAKGATE_SUBJECT@",
               "One of the sides has deleted them; the message says which, and why."},
    MessageRow{"phase2-expired", "afae611b696341af8e112622097f7c51",
               "Tunnel's SA has expired: @OAKGATE_SUBJECT@",
               "Its life time or volume has ended without a successor: the tunnel was idle, or its renewal "
               "failed, as an earlier message then says."},
};
constexpr std::array kProofs{
    MessageRow{"own-identity-changed", "28a0bb76cd7b4f9eb53c2a41e48b045a",
               "Another identity of ours is sent: @OAKGATE_SUBJECT@",
               "The configured identity is not in our certificate. One that is in it is sent in its place; "
               "the peer has to expect that one."},
    MessageRow{"own-identity-unproved", "2a4cc1d45f81452485bd7051623026f6",
               "Our identity is not in our certificate: @OAKGATE_SUBJECT@",
               "It is sent all the same, and the peer may refuse it. Enrol for a certificate with that name, "
               "or configure an `identity` that is in it."},
    MessageRow{"certificate-requested", "2ae9d64b01ba4e6da0463dd5a2f9b459",
               "Peer requests a certificate: @OAKGATE_SUBJECT@",
               "It names the authority that it trusts. `oakgate pki show certificates` lists ours."},
    MessageRow{"certificate-verified", "fac3b10404404f28ac65d4651b047d51",
               "Peer's certificate is good: @OAKGATE_SUBJECT@",
               "Its chain ends at a trustpoint, it is valid today and not revoked as far as the "
               "configuration asks."},
    MessageRow{"peer-revoked", "8e92458737de40e5bbcaab598d5ae94d",
               "Peer's certificate has been revoked: @OAKGATE_SUBJECT@",
               "A revocation list or an OCSP answer names it. Its tunnels are taken down and stay down. If "
               "that is wrong, its authority has to say so; `oakgate pki show crls` shows the lists."},
    MessageRow{"guessable", "db9d934ef649494bb9158b8a1e9b3749",
               "Pre-shared key can be guessed: @OAKGATE_SUBJECT@",
               "Aggressive Mode sends a hash over the pre-shared key in clear: whoever records it can try "
               "keys at leisure. Use Main Mode, certificates, or at least a long random key."},
    MessageRow{"odd-identity", "725f624ecf614ec28da3d45488ba559b",
               "Peer's ID payload names another port: @OAKGATE_SUBJECT@",
               "RFC 2407 wants protocol 17 and port 500, or neither. Some old devices differ; the "
               "negotiation goes on."},
};
constexpr std::array kMessages{
    MessageRow{"retransmitting", "a690e656451343ac9f4d2a196acac0b1",
               "Message is being repeated: @OAKGATE_SUBJECT@",
               "The peer has not answered yet. If it never does, the negotiation fails and says so: look for "
               "filters on UDP 500 and 4500 on the way, and whether the peer runs at all."},
    MessageRow{"vendor-id-received", "79eecd2d4b36417d98e07bdbc2e76398",
               "Peer's vendor ID: @OAKGATE_SUBJECT@",
               "It tells what software the peer is, or what it can do."},
    MessageRow{"notify-received", "b0c43c7bbe8848d78cb19d29b94724f9",
               "Peer sent a notification: @OAKGATE_SUBJECT@",
               "Of a negotiation that fails it is often the reason. One that is not authenticated may come "
               "from anybody, and decides nothing."},
    MessageRow{"notify-sent", "44599adcb9d74963ad2b375913492112", "Notification sent: @OAKGATE_SUBJECT@",
               "The peer is told what happened here."},
    MessageRow{"delete-received", "6565e349f9364b0f911fbd0e95a5dece", "Peer deletes SAs: @OAKGATE_SUBJECT@",
               "It will use them no more. Ours that belong to them go, too."},
    MessageRow{"configuration-asked", "e8938fa49787429aaa7a5bfbf92d51b4",
               "Peer asks for an address or other configuration: @OAKGATE_SUBJECT@",
               "Mode-config is for remote access; it gets an empty answer. At an IOS device a crypto map "
               "`client configuration address` for this peer is the usual cause."},
    MessageRow{"xauth-refused", "3ff1b40cb5eb4a8f923d7210241f1cc1",
               "Peer asks for a user's name and password: @OAKGATE_SUBJECT@",
               "XAUTH is for remote access and refused. Exempt this gateway there: `crypto isakmp key KEY "
               "address ADDRESS no-xauth`."},
    MessageRow{"xauth-decided", "120c54cc7e8846d49c42d33d2f79566d",
               "Peer's verdict on XAUTH: @OAKGATE_SUBJECT@",
               "What the peer says after its question for a name and password was refused. With FAIL it "
               "takes its ISAKMP SA away."},
    MessageRow{"group-refused", "fcfda92433ec4472a07031822bc07c02",
               "New Group Mode refused: @OAKGATE_SUBJECT@", "Groups are those of the ISAKMP policies."},
};
constexpr std::array kStates{
    MessageRow{
        "commit-awaited", "dfa263ea20fd4b7d99c36d66cd642882",
        "Peer's CONNECTED is awaited: @OAKGATE_SUBJECT@",
        "It set the commit bit: our side sends with the new SAs when it says so, or after three seconds."},
    MessageRow{"commit-unanswered", "9095d465929f4c4f9009d694180d8602",
               "Peer's CONNECTED did not come: @OAKGATE_SUBJECT@",
               "It set the commit bit and then said nothing. The new SAs are used all the same."},
    MessageRow{"nat-detected", "592270f47a854eafb3b06451691ce541",
               "NAT between the gateways: @OAKGATE_SUBJECT@",
               "Addresses are translated on the way. ESP goes in UDP, as the message says; UDP 4500 has to "
               "be open."},
    MessageRow{"endpoint-changed", "129d144bf34147d7bb9b21c9d49e67d8", "Peer has moved: @OAKGATE_SUBJECT@",
               "Authentic packets come from another address or port, as when a NAT forgets its translation. "
               "The tunnels follow."},
    MessageRow{"peer-silent", "2b47ddc799e84d3094f3503e917c27ae",
               "No sign of life from the peer: @OAKGATE_SUBJECT@", "Dead peer detection asks it now."},
    MessageRow{"peer-dead", "b17cec5af874451693390a0d8b171fd1", "Peer is not responding: @OAKGATE_SUBJECT@",
               "It has answered none of dead peer detection's questions. Its SAs are deleted; tunnels that "
               "start by themselves are tried again."},
    MessageRow{"initial-contact", "b2861913d99f4a4393eb72c7da440fcd",
               "Peer has started anew: @OAKGATE_SUBJECT@",
               "It says that it has no older SAs. Those that it had with us are deleted."},
    MessageRow{"message-rejected", "c9ba85c1473446f9bb7001a5b0d16275",
               "IKE message rejected: @OAKGATE_SUBJECT@",
               "It is malformed, out of place or not authentic; the message says what was expected. From "
               "unknown senders it is noise or an attack, and limited in the log; from a peer it is worth a "
               "look at `oakgate explain`."},
    MessageRow{"message-held", "2e5dd1e9330a481dbfa5c28ff25763b8", "IKE message waits: @OAKGATE_SUBJECT@",
               "It came while a computation for the same negotiation was under way."},
    MessageRow{"unknown-peer", "ed2fe922ec7b4f7285ee0c0af3567da3", "Unknown peer calls: @OAKGATE_SUBJECT@",
               "No peer of the configuration has this address, or none with this identity. If it should be "
               "one, its `address` is not what it calls from: `oakgate explain` lists strangers."},
    MessageRow{
        "limit-reached", "eff8fd1cfb834d3a8a2788cca68d2f8b", "A limit is reached: @OAKGATE_SUBJECT@",
        "One of the bounds against floods holds, as the message says. oakgated(8) has them under BOUNDS."},
};
constexpr std::array kPolicy{
    MessageRow{"weak-used", "79513250a1524481871d370bfbbc6a6c",
               "Weak algorithms are in use: @OAKGATE_SUBJECT@",
               "The peer's `allow_weak` allows them, until the date in the message. Plan for the peer's "
               "replacement before it."},
    MessageRow{"weak-waiver-expired", "b03fce416c9b4b869c7908c10b092bb5",
               "Allowance for weak algorithms has ended: @OAKGATE_SUBJECT@",
               "The date in the peer's `allow_weak` has passed: it stays down. Give the peer stronger "
               "algorithms, or, if it must be, a later date and a reason."},
    MessageRow{"address-changed", "5ed047b61ada4ad8b1f15e02206859c9",
               "Addresses of the tunnel have changed: @OAKGATE_SUBJECT@",
               "Ours, or the one behind the peer's host name, is another. The tunnels start anew between the "
               "new ones."},
    MessageRow{"data-plane-failed", "3d0537edac1c4d03965f18cb5491206c",
               "The data plane refused: @OAKGATE_SUBJECT@",
               "The kernel, or the software data plane, did not take an SA or policy; the message says why. "
               "`oakgate check --probe` tells what the kernel lacks."},
    MessageRow{"hook-ran", "ea8f819ea0b04687bc681ccf417a2f71",
               "A program ran for the tunnel: @OAKGATE_SUBJECT@",
               "The tunnel's `updown` program has ended well."},
    MessageRow{"hook-failed", "a9ca100212b541b6848a675e1ea61b9d",
               "A program failed for the tunnel: @OAKGATE_SUBJECT@",
               "The tunnel's `updown` program could not be run, ended with an error or took too long; the "
               "message says which. The tunnel itself goes on."},
};

template <std::size_t... Sizes>
constexpr auto joined(const std::array<MessageRow, Sizes>&... tables) {
  std::array<MessageRow, (Sizes + ...)> all{};
  auto* to = all.begin();
  ((to = std::copy(tables.begin(), tables.end(), to)), ...);
  return all;
}
constexpr std::array kEvents = joined(kPhase1, kPhase2, kProofs, kMessages, kStates, kPolicy);
static_assert(kEvents.size() == static_cast<std::size_t>(ike::kLastEventId) + 1, "every EventId has a row");

constexpr std::array kDaemon{
    MessageRow{"ready", "54a85f6a209f419f9c0db221906b3ccb", "oakgated is ready",
               "The configuration is in use, its sockets are open. Tunnels that start by themselves are "
               "being negotiated."},
    MessageRow{
        "stopping", "e5cb0ba79d7447c5a38ec0c71a3c0f6d", "oakgated is being stopped",
        "Peers are told that their SAs end, unless `on_exit: keep` has the tunnels stay in the kernel."},
    MessageRow{"ended", "811bc741d520414198058cb3a5ef175d", "oakgated has ended", ""},
    MessageRow{
        "reloaded", "e8c6374bb253404280382b51c2aa4c1b", "The configuration has been reloaded",
        "Peers that did not change were left alone, changed ones start anew, removed ones are taken down."},
    MessageRow{"reload-refused", "2bb2d79324764ec089e20ef7a4666fa1", "A reload was refused",
               "The configuration has an error, or the last change awaits its confirmation. What ran before "
               "still runs. Every error is logged with file and line; `oakgate check` lists them, too."},
    MessageRow{"reload-unconfirmed", "8bd4bfa0115e49e3a9caa48c1a9a3b89", "A reload awaits its confirmation",
               "It is undone unless `oakgate confirm` comes in time."},
    MessageRow{"reload-undone", "2571cf5336bf4815a7449459f2e72560", "A reload has been undone",
               "Nobody has confirmed it: what ran before runs again, and the file is not what runs. `oakgate "
               "diff` shows the difference."},
    MessageRow{"configuration-refused", "8ef06f86ea91486c866f49aec07241df", "The configuration is not valid",
               "oakgated does not start with it. `oakgate check` lists every error with file and line."},
    MessageRow{"suppressed", "3b2a2a31afe04037ab7e6587d82d8a22", "Messages have been left out",
               "Unauthenticated datagrams caused more of them than the log is given. oakgate-metrics(7) "
               "counts them all; `oakgate monitor` and the log show the first ones of each source."},
};
static_assert(kDaemon.size() == static_cast<std::size_t>(kLastDaemonMessage) + 1);

constexpr std::array kAll = joined(kEvents, kDaemon);

constexpr std::size_t kWidth = 78;  // of the catalogue's text

std::string wrapped(std::string_view text) {
  std::string out;
  while (text.size() > kWidth) {
    const std::size_t blank = text.rfind(' ', kWidth);
    if (blank == std::string_view::npos) break;
    out += fmt::format("{}\n", text.substr(0, blank));
    text.remove_prefix(blank + 1);
  }
  return out + std::string(text);
}

}  // namespace

std::span<const MessageRow> message_table() {
  return kAll;
}

const MessageRow& message_row(ike::EventId id) {
  return kEvents[std::min(static_cast<std::size_t>(id), kEvents.size() - 1)];
}

const MessageRow& message_row(DaemonMessage message) {
  return kDaemon[std::min(static_cast<std::size_t>(message), kDaemon.size() - 1)];
}

std::vector<LogField> message_fields(const MessageRow& row) {
  return {{"MESSAGE_ID", std::string(row.id)}, {"OAKGATE_EVENT", std::string(row.name)}};
}

void tell(const Log& log, LogLevel level, DaemonMessage message, std::string_view text) {
  log.write(level, text, message_fields(message_row(message)));
}

std::string message_catalog() {
  std::string out =
      "# Written by `oakgated --message-catalog`. journalctl -x shows these texts beside the messages.\n";
  for (const MessageRow& row : kAll) {
    out += fmt::format("\n-- {}\nSubject: {}\nDefined-By: oakgate\nDocumentation: man:oakgated(8)\n", row.id,
                       row.subject);
    if (!row.text.empty()) out += fmt::format("\n{}\n", wrapped(row.text));
  }
  return out;
}

}  // namespace oakgate
