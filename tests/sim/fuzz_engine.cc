// A whole engine fed with what a network could bring. The input is a script: a byte that says which state the
// negotiation has reached (how many of its own messages were exchanged), then the datagram, whose flags say
// by which method and mode the gateways prove themselves. Nothing may crash, leak or establish anything;
// afterwards the true negotiation must still end well unless it was the datagram's to spoil.

#include "ike/wire/message.h"
#include "tests/sim/simulator.h"

using namespace oakgate;

namespace {

// The upper four bits of the header's flags mean nothing to the protocol.
void choose_method(sim::Gateway& a, sim::Gateway& b, int choice) {
  if ((choice & 7) == 1) sim::use_certificates(a, b, AuthMethod::rsa_sig);
  if ((choice & 7) == 2) sim::use_certificates(a, b, AuthMethod::ecdsa_sig);
  if ((choice & 7) == 3) sim::use_rsa_encryption(a, b, AuthMethod::rsa_encr);
  if ((choice & 7) == 4) sim::use_rsa_encryption(a, b, AuthMethod::rsa_encr_rev);
  const bool encrypts = (choice & 7) == 3 || (choice & 7) == 4;
  const bool aggressive = choice >= 8 && !encrypts;
  for (sim::Gateway* gateway : {&a, &b}) gateway->config().peers.front().aggressive = aggressive;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  sim::Simulator net(1);
  sim::Gateway& a = net.add("gw-a", "192.0.2.1");
  sim::Gateway& b = net.add("gw-b", "192.0.2.2");
  sim::TunnelPlan plan;
  plan.start_there = StartMode::responder;
  sim::connect(a, b, {plan});
  choose_method(a, b, size > 20 ? data[20] >> 4 : 0);
  const int exchanged = data[0] % 11;
  const bool at_initiator = (data[0] & 0x80) != 0;
  int seen = 0;
  net.tap = [&](const Endpoint&, const Endpoint&, Bytes&) { return seen++ < exchanged; };
  a.start();
  b.start();
  net.run_for(Milliseconds(300));
  Bytes datagram(data + 1, data + size);
  // Give it the cookies of the negotiation under way, or no fuzzer would ever get past them.
  const auto peers = (at_initiator ? a : b).engine().snapshot({});
  if (datagram.size() >= wire::kHeaderBytes && !peers[0].isakmp_sas.empty() && (data[0] & 0x40) == 0) {
    const CookiePair& cookies = peers[0].isakmp_sas[0].cookies;
    std::copy(cookies.initiator.begin(), cookies.initiator.end(), datagram.begin());
    std::copy(cookies.responder.begin(), cookies.responder.end(), datagram.begin() + 8);
  }
  sim::Gateway& target = at_initiator ? a : b;
  sim::Gateway& other = at_initiator ? b : a;
  target.receive({target.address, 500}, {other.address, 500}, datagram);
  net.tap = {};
  if (!net.run_for(Seconds(120), [&] { return a.tunnels_up() && b.tunnels_up(); })) __builtin_trap();
  return 0;
}
