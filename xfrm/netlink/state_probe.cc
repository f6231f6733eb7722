#include "xfrm/netlink/state_probe.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

#include "xfrm/netlink/tunnel_interfaces.h"
#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

std::string kernel_option(IpsecProtocol protocol) {
  const std::string name = protocol == IpsecProtocol::comp ? "IPCOMP" : std::string(protocol_name(protocol));
  return "a kernel with CONFIG_INET_" + name + ", CONFIG_INET6_" + name;
}

std::string kernel_remedy(IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return "load the modules ah4 and ah6, or configure `data_plane: software`";
    case IpsecProtocol::esp:
      return "load the modules esp4 and esp6, or configure `data_plane: software`";
    case IpsecProtocol::comp:
      return "load the modules ipcomp and ipcomp6, or take comp-deflate out of the transform sets";
  }
  return {};
}

// What a kernel calls an algorithm, and the module that brings it.
struct KernelNeed {
  std::string_view algorithm;
  std::string_view module;
};
constexpr auto kModules = std::to_array<KernelNeed>({
    {"cbc(des)", "des_generic"},
    {"cbc(des3_ede)", "des_generic"},
    {"cbc(aes)", "aes_generic"},
    {"cbc(camellia)", "camellia_generic"},
    {"rfc3686(ctr(aes))", "ctr"},
    {"rfc4106(gcm(aes))", "gcm"},
    {"rfc4543(gcm(aes))", "gcm"},
    {"ecb(cipher_null)", "crypto_null"},
    {"hmac(md5)", "md5"},
    {"hmac(sha1)", "sha1_generic"},
    {"hmac(sha256)", "sha256_generic"},
    {"hmac(sha384)", "sha512_generic"},
    {"hmac(sha512)", "sha512_generic"},
    {"xcbc(aes)", "xcbc"},
    {"deflate", "deflate"},
});

std::vector<KernelNeed> needed_by(const SaSpec& sa) {
  std::vector<KernelNeed> needs;
  const auto add = [&](std::string_view name) {
    const auto* known = std::find_if(kModules.begin(), kModules.end(),
                                     [&](const KernelNeed& one) { return one.algorithm == name; });
    needs.push_back(known != kModules.end() ? *known : KernelNeed{name, name});
  };
  if (sa.id.protocol == IpsecProtocol::esp) add(info(sa.cipher).kernel);
  if (sa.integrity) add(info(*sa.integrity).kernel);
  if (sa.compression) add(info(*sa.compression).kernel);
  return needs;
}

std::string listed(const std::vector<KernelNeed>& needs, std::string_view KernelNeed::*which,
                   std::string_view between) {
  std::string text;
  for (const KernelNeed& need : needs)
    text += std::string(text.empty() ? "" : between) + std::string(need.*which);
  return text;
}

constexpr std::uint32_t kTrialCpi = 0xff00;  // of the private range, RFC 3173 section 3.3

SecretBytes trial_key(std::size_t size) {
  SecretBytes key(size);
  // Counting bytes: 3DES refuses keys whose parts are equal.
  std::iota(key.mutable_view().begin(), key.mutable_view().end(), std::uint8_t{1});
  return key;
}

SaSpec trial_sa(Family family, std::uint32_t number) {
  const IpAddress loopback = *IpAddress::parse(family == Family::ipv4 ? "127.0.0.1" : "::1");
  SaSpec sa;
  sa.direction = Direction::out;
  sa.id = {loopback, IpsecProtocol::esp, Spi{0xffff'0000U + number}};
  sa.source = loopback;
  sa.reqid = Reqid{kReqidBase + kReqidCount - 1};  // no policy has it: it carries nothing
  sa.selectors = {{Subnet::host(loopback)}, {Subnet::host(loopback)}};
  sa.hard_time = Seconds(10);  // gone even if this process dies before it is removed
  return sa;
}

std::vector<SaSpec> trial_sas(Family family, std::span<const TransformSet> sets) {
  std::vector<SaSpec> sas;
  const auto next = [&]() -> SaSpec& {
    sas.push_back(trial_sa(family, static_cast<std::uint32_t>(sas.size())));
    return sas.back();
  };
  const auto add_esp = [&](EspCipher cipher, std::optional<Integrity> integrity) {
    SaSpec& sa = next();
    sa.cipher = cipher;
    sa.integrity = integrity;
    sa.encryption_key = trial_key(info(cipher).key_bytes + info(cipher).salt_bytes);
    if (integrity) sa.integrity_key = trial_key(info(*integrity).key_bytes);
  };
  add_esp(EspCipher::aes_128, Integrity::sha);
  for (const TransformSet& set : sets) {
    if (set.cipher) add_esp(*set.cipher, set.integrity);
    if (set.ah) {
      SaSpec& sa = next();
      sa.id.protocol = IpsecProtocol::ah;
      sa.integrity = set.ah;
      sa.integrity_key = trial_key(info(*set.ah).key_bytes);
    }
    if (set.compression) {
      SaSpec& sa = next();
      sa.id = {sa.source, IpsecProtocol::comp, Spi{kTrialCpi + static_cast<std::uint32_t>(sas.size()) % 256}};
      sa.compression = set.compression;
    }
  }
  return sas;
}

// The part of a transform set that a trial stands for.
TransformSet tried_by(const SaSpec& sa) {
  TransformSet tried;
  const IpsecProtocol protocol = sa.id.protocol;
  (protocol == IpsecProtocol::ah ? tried.ah : tried.integrity) = sa.integrity;
  if (protocol == IpsecProtocol::esp) tried.cipher = sa.cipher;
  tried.compression = sa.compression;
  return tried;
}

bool has_family(Family family) {
  const int fd = socket(xfrm_family(family), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

std::string_view family_name(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

Result<void> try_family(NetlinkSocket& xfrm, Family family, std::span<const TransformSet> sets,
                        std::vector<StateTrial>& trials) {
  const std::vector<SaSpec> sas = trial_sas(family, sets);
  std::vector<NetlinkMessage> adds;
  std::vector<NetlinkMessage> removals;
  for (const SaSpec& sa : sas) {
    removals.push_back(remove_state_message(sa.id));
    adds.push_back(add_state_message(sa));
  }
  auto answers = xfrm.transact(adds);
  if (!answers) return tl::unexpected(answers.error());
  if (auto removed = xfrm.transact(removals); !removed) return tl::unexpected(removed.error());
  for (std::size_t i = 0; i < sas.size(); ++i) {
    StateTrial trial{family, sas[i].id.protocol, tried_by(sas[i]), {}};
    const NetlinkAnswer& answer = (*answers)[i];
    if (!answer.ok()) {
      const std::string what = "install an " + std::string(protocol_name(trial.protocol)) + " SA over " +
                               std::string(family_name(family)) + " with " + to_string(trial.tried);
      trial.refused = refused_state(sas[i], answer, what);
      if (trial.refused->code == ErrorCode::not_permitted) return fail(std::move(*trial.refused));
    }
    trials.push_back(std::move(trial));
  }
  return {};
}

}  // namespace

Error refused_state(const SaSpec& sa, const NetlinkAnswer& answer, std::string_view operation) {
  Error error = netlink_error(answer, operation);
  const IpsecProtocol protocol = sa.id.protocol;
  switch (answer.error) {
    case EPROTONOSUPPORT:
      error.code = ErrorCode::unsupported;
      error.expected = kernel_option(protocol);
      error.remedy = kernel_remedy(protocol);
      break;
    case ENOSYS:
    case ENOENT:
    case ENOPKG: {
      const auto needs = needed_by(sa);
      error.code = ErrorCode::unsupported;
      error.text += ": this kernel lacks " + listed(needs, &KernelNeed::algorithm, " or ");
      error.expected = "a kernel with " + listed(needs, &KernelNeed::algorithm, " and ");
      error.remedy = "load what it lacks (modprobe " + listed(needs, &KernelNeed::module, " ") +
                     "), choose another transform set, or configure `data_plane: software`";
      break;
    }
    case EINVAL:
    case EOPNOTSUPP:
      if (sa.ties.offload == Offload::none) break;
      error.code = ErrorCode::unsupported;
      error.expected = "a network device that offloads this SA (`ethtool -k`: esp-hw-offload)";
      error.remedy = "configure `offload: no`, or `offload: crypto`, which does without where it must";
      break;
    default:
      break;
  }
  return error;
}

Result<std::vector<StateTrial>> try_states(std::span<const TransformSet> sets) {
  auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!xfrm) return tl::unexpected(xfrm.error());
  std::vector<StateTrial> trials;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    if (!has_family(family)) continue;
    if (auto tried = try_family(*xfrm, family, sets, trials); !tried) return tl::unexpected(tried.error());
  }
  return trials;
}

Result<bool> try_offload(const KernelTies& ties, const IpAddress& local_gateway) {
  const unsigned device = find_offload_device(ties, local_gateway);
  if (device == 0) {
    return fail(ErrorCode::not_found,
                ties.offload_device.empty() ? "no device has the address " + local_gateway.to_string()
                                            : "there is no device " + ties.offload_device,
                "the name of a network device in `offload_device`",
                "see `ip link`, or configure `offload: no`");
  }
  auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!xfrm) return tl::unexpected(xfrm.error());
  SaSpec sa = trial_sa(local_gateway.family(), 0xff);
  sa.cipher = EspCipher::gcm_128;
  sa.encryption_key = trial_key(info(sa.cipher).key_bytes + info(sa.cipher).salt_bytes);
  sa.ties.offload = ties.offload;
  std::vector<NetlinkMessage> messages;
  messages.push_back(add_state_message(sa, device));
  messages.push_back(query_state_message(sa.id));
  messages.push_back(remove_state_message(sa.id));
  bool offloaded = false;
  auto answers = xfrm->transact(messages, [&](const nlmsghdr& part) {
    if (const auto state = parse_state(part)) offloaded = state->offloaded;
  });
  if (!answers) return tl::unexpected(answers.error());
  if (!answers->front().ok()) return fail(refused_state(sa, answers->front(), "offload an SA"));
  return offloaded;
}

Result<void> probe_esp(std::span<const TransformSet> sets) {
  auto trials = try_states(sets);
  if (!trials) return tl::unexpected(trials.error());
  for (StateTrial& trial : *trials) {
    if (trial.refused) return fail(std::move(*trial.refused));
  }
  return {};
}

}  // namespace oakgate
