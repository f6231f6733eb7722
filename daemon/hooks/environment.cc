#include "daemon/hooks/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace oakgate::hooks {

namespace {

constexpr std::size_t kMaxValue = 1024;  // of what a peer or an operator has written
constexpr std::array<std::string_view, 3> kEvents{"up", "down", "adopted"};

std::string harmless(std::string_view text) {
  constexpr std::string_view kMarks = ".,:=@/_+-* ";
  std::string out;
  for (const char c : text.substr(0, kMaxValue)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kMarks.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out;
}

std::string subnets_text(const Selector& selector) {
  std::string text;
  for (const Subnet& one : selector.subnets()) text += (text.empty() ? "" : " ") + one.to_string();
  return text;
}

}  // namespace

std::string_view to_string(HookEvent event) {
  return kEvents[static_cast<std::size_t>(event)];
}

std::vector<std::string> hook_environment(HookEvent event, const HookFacts& facts, std::string_view reason) {
  std::vector<std::string> all{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) all.push_back(fmt::format("OAKGATE_{}={}", name, value));
  };
  const auto [local, remote] = facts.selectors;
  add("EVENT", to_string(event));
  add("REASON", harmless(reason));
  add("GATEWAY", harmless(facts.gateway));
  add("PEER", facts.peer);
  add("TUNNEL", facts.tunnel);
  add("LOCAL", local.to_string());
  add("REMOTE", remote.to_string());
  add("LOCAL_SUBNETS", subnets_text(local));
  add("REMOTE_SUBNETS", subnets_text(remote));
  add("PROTOCOL", std::to_string(local.protocol));
  add("LOCAL_PORT", std::to_string(local.port));
  add("REMOTE_PORT", std::to_string(remote.port));
  add("LOCAL_ADDRESS", facts.local_gateway.to_string());
  add("REMOTE_ADDRESS", facts.remote_gateway.to_string());
  add("REMOTE_IDENTITY", harmless(facts.identity));
  add("NAT", facts.encapsulated ? "yes" : "no");
  add("MODE", facts.mode == EncapsulationMode::transport ? "transport" : "tunnel");
  add("ALGORITHMS", facts.algorithms);
  add("DATA_PLANE", facts.data_plane);
  add("REQID", std::to_string(facts.reqid.value));
  if (!facts.ties.mark.all()) add("MARK", facts.ties.mark.to_string());
  if (facts.ties.interface) {
    add("INTERFACE", facts.ties.interface->name);
    add("IF_ID", std::to_string(facts.ties.interface->if_id));
  }
  return all;
}

}  // namespace oakgate::hooks
