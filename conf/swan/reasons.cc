#include "conf/swan/reasons.h"

#include <algorithm>
#include <span>

#include "conf/swan/values.h"

namespace oakgate::conf::swan {

namespace {

struct Reason {
  std::string_view key;
  std::string_view why;
  std::string_view fine = {};  // a value that asks for nothing
};
constexpr std::string_view kByItself = "oakgate does that by itself";
constexpr std::string_view kXauth = "XAUTH and Mode Config are for remote users: oakgate does neither";
constexpr Reason kOfConns[] = {
    {"compress", "IPComp is a transform set's: `comp-deflate`", "no"},
    {"keyingtries", "oakgate tries again for ever, at most a minute apart", "%forever"},
    {"margintime", "when to renew is not configured: at 85 to 90 % of the life"},
    {"rekeymargin", "when to renew is not configured: at 85 to 90 % of the life"},
    {"rekeyfuzz", "when to renew is not configured: at 85 to 90 % of the life"},
    {"marginbytes", "when to renew is not configured"},
    {"marginpackets", "when to renew is not configured"},
    {"lifepackets", "an SA is renewed before its sequence numbers end; no other limit in packets"},
    {"ipsec-max-packets", "an SA is renewed before its sequence numbers end; no other limit in packets"},
    {"reauth", "IKEv1 authenticates anew each time", "yes"},
    {"mobike", "it is IKEv2's", "no"},
    {"forceencaps", "ESP goes in UDP where a NAT is found, and only there", "no"},
    {"encapsulation", "ESP goes in UDP where a NAT is found, and only there", "auto"},
    {"closeaction", "a tunnel with `start: on-start` or `on-traffic` comes back by itself", "none"},
    {"inactivity", "an idle SA is not renewed (`rekey: on-traffic`)"},
    {"installpolicy", "oakgate installs its own policies", "yes"},
    {"reqid", "oakgate gives out its own"},
    {"priority", "the narrower selectors win"},
    {"firewall", "forwarding is the firewall's to allow: `updown` can do it", "no"},
    {"hostaccess", "forwarding is the firewall's to allow: `updown` can do it", "no"},
    {"updown", "oakgate's `updown` gives other variables: see oakgate.yaml(5)", "ipsec _updown"},
    {"nexthop", kByItself},
    {"sourceip",
     "it is an address of Mode Config, or the source of a route, which oakgate chooses by itself"},
    {"dns", kXauth},
    {"subnetwithin", "write the peer's nets"},
    {"groups", "certificates are not told apart by groups"},
    {"groups2", "certificates are not told apart by groups"},
    {"id2", "a second authentication is IKEv2's"},
    {"auth2", "a second authentication is IKEv2's, or XAUTH"},
    {"cert2", "a second authentication is IKEv2's"},
    {"rsasigkey", "oakgate takes signatures with certificates alone: give the peer one"},
    {"rsasigkey2", "oakgate takes signatures with certificates alone: give the peer one"},
    {"sigkey", "oakgate takes signatures with certificates alone: give the peer one"},
    {"pubkey", "oakgate takes signatures with certificates alone: give the peer one"},
    {"ckaid", "the key is in NSS's database: `oakgate pki import` takes it as PKCS#12"},
    {"policy", "certificate policies are not looked at"},
    {"certpolicy", "certificate policies are not looked at"},
    {"allowany", "an `address` that is a range or `any` does that", "no"},
    {"ikeport", "the ports are 500 and 4500"},
    {"xauth", kXauth},
    {"xauth_identity", kXauth},
    {"eap_identity", "EAP is IKEv2's"},
    {"aaa_identity", "EAP is IKEv2's"},
    {"xauthserver", kXauth, "no"},
    {"xauthclient", kXauth, "no"},
    {"xauthusername", kXauth},
    {"xauthby", kXauth},
    {"xauthfail", kXauth},
    {"username", kXauth},
};
constexpr Reason kOfConnsToo[] = {
    {"modecfgserver", kXauth, "no"},
    {"modecfgclient", kXauth, "no"},
    {"modecfgpull", kXauth, "no"},
    {"modecfgdns", kXauth},
    {"modecfgdomains", kXauth},
    {"modecfgbanner", kXauth},
    {"modeconfig", kXauth, "pull"},
    {"addresspool", kXauth},
    {"remote-peer-type", "peers are told apart by their vendor IDs"},
    {"remote_peer_type", "peers are told apart by their vendor IDs"},
    {"tfc", "ESP is not padded"},
    {"mtu", "the path's MTU is found out"},
    {"nic-offload", "`offload` of a tunnel, if the device can: oakgate.yaml(5)", "no"},
    {"ipsec-interface", "`interface` of a tunnel: oakgate.yaml(5)", "no"},
    {"vti-interface", "`interface` of a tunnel: oakgate.yaml(5)"},
    {"vti-routing", "`interface` of a tunnel: oakgate.yaml(5)"},
    {"vti-shared", "`interface` of a tunnel: oakgate.yaml(5)"},
    {"vti", "`interface` of a tunnel: oakgate.yaml(5)"},
    {"mark_in", "`mark` of a tunnel is one for both directions"},
    {"mark_out", "`mark` of a tunnel is one for both directions"},
    {"mark-in", "`mark` of a tunnel is one for both directions"},
    {"mark-out", "`mark` of a tunnel is one for both directions"},
    {"me_peerid", "mediation is IKEv2's"},
    {"mediation", "mediation is IKEv2's"},
    {"ikev1-policy", "it is the daemon's"},
    {"esn", "extended sequence numbers: `esn` of a tunnel, if the peer does them", "no"},
    {"metric", "a route has the kernel's own"},
    {"overlapip", "the narrower selectors win", "no"},
    {"initial-contact", kByItself},
    {"cisco-unity", kXauth, "no"},
    {"send-vendorid", kByItself},
    {"narrowing", "it is IKEv2's; `accept: subset` takes a part of what is configured", "no"},
    {"clientaddrfamily", "it follows from the nets"},
    {"connaddrfamily", "it follows from the addresses"},
    {"hostaddrfamily", "it follows from the addresses"},
    {"failureshunt", "nothing leaves in the clear while the tunnel is down", "none"},
    {"negotiationshunt", "nothing leaves in the clear while the tunnel is down", "hold"},
    {"retransmit-interval", "it is not configured: 1 s, doubled, 5 times"},
    {"retransmit-timeout", "it is not configured: 1 s, doubled, 5 times"},
};

constexpr std::string_view kRenewal = "when to renew is not configured: at 85 to 90 % of the life";
constexpr std::string_view kIkev2 = "it is IKEv2's";
constexpr std::string_view kOneMark = "`mark` of a tunnel is one for both directions, VALUE/MASK";
constexpr std::string_view kInterface = "`interface` of a tunnel makes an xfrm device: oakgate.yaml(5)";

constexpr Reason kOfConnections[] = {
    {"local_port", "the ports are 500 and 4500", "500"},
    {"remote_port", "the ports are 500 and 4500", "500"},
    {"vips", kXauth},
    {"pools", kXauth},
    {"pull", kXauth, "yes"},
    {"dscp", "IKE's own packets have none"},
    {"encap", "ESP goes in UDP where a NAT is found, and only there", "no"},
    {"mobike", kIkev2},
    {"childless", kIkev2},
    {"send_certreq", "a request for a certificate is always sent", "yes"},
    {"ocsp", "`ocsp` of the trustpoint"},
    {"ppk_id", kIkev2},
    {"ppk_required", kIkev2},
    {"keyingtries", "oakgate tries again for ever, at most a minute apart", "0"},
    {"unique", "a peer's new SA replaces its old one"},
    {"reauth_time", "IKEv1 authenticates anew each time", "0"},
    {"over_time", kRenewal},
    {"rand_time", kRenewal},
    {"if_id_in", kInterface},
    {"if_id_out", kInterface},
    {"mediation", kIkev2},
    {"mediated_by", kIkev2},
    {"mediation_peer", kIkev2},
};
constexpr Reason kOfChildren[] = {
    {"rand_time", kRenewal},
    {"rand_bytes", kRenewal},
    {"rand_packets", kRenewal},
    {"rekey_packets", "an SA is renewed before its sequence numbers end; no other limit in packets"},
    {"life_packets", "an SA is renewed before its sequence numbers end; no other limit in packets"},
    {"updown", "oakgate's `updown` gives other variables: see oakgate.yaml(5)"},
    {"hostaccess", "forwarding is the firewall's to allow: `updown` can do it", "no"},
    {"policies", "oakgate installs its own policies", "yes"},
    {"policies_fwd_out", "oakgate installs its own policies", "no"},
    {"dpd_action", "a tunnel with `start: on-start` or `on-traffic` comes back by itself", "clear"},
    {"close_action", "a tunnel with `start: on-start` or `on-traffic` comes back by itself", "none"},
    {"ipcomp", "IPComp is a transform set's: `comp-deflate`", "no"},
    {"inactivity", "an idle SA is not renewed (`rekey: on-traffic`)", "0"},
    {"reqid", "oakgate gives out its own", "0"},
    {"priority", "the narrower selectors win", "0"},
    {"interface", "the routes decide"},
    {"mark_in_sa", kOneMark, "no"},
    {"set_mark_in", kOneMark},
    {"set_mark_out", kOneMark},
    {"if_id_in", kInterface},
    {"if_id_out", kInterface},
    {"label", "SELinux labels are not carried"},
    {"label_mode", "SELinux labels are not carried"},
    {"tfc_padding", "ESP is not padded", "0"},
    {"hw_offload", "`offload` of a tunnel, if the device can: oakgate.yaml(5)", "no"},
    {"copy_df", "`df_bit` of a tunnel", "yes"},
    {"copy_ecn", "ECN is always carried over (RFC 6040)", "yes"},
    {"copy_dscp", "`copy_dscp` of a tunnel", "out"},
    {"per_cpu_sas", kIkev2, "no"},
};
constexpr Reason kOfEnds[] = {
    {"round", "a second authentication is IKEv2's, or XAUTH", "0"},
    {"eap_id", "EAP is IKEv2's"},
    {"aaa_id", "EAP is IKEv2's"},
    {"xauth_id", kXauth},
    {"groups", "certificates are not told apart by groups"},
    {"cert_policy", "certificate policies are not looked at"},
    {"ca_id", "whom the peer must chain to is its trustpoint's `ca`: a file"},
    {"pubkeys", "oakgate takes signatures with certificates alone: give the peer one"},
};

const Reason* find_in(std::span<const Reason> table, std::string_view key) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Reason& row) { return row.key == key; });
  return found == table.end() ? nullptr : &*found;
}

std::span<const Reason> table_of(Where where) {
  switch (where) {
    case Where::conn:
      return kOfConnsToo;
    case Where::connection:
      return kOfConnections;
    case Where::child:
      return kOfChildren;
    case Where::end:
      break;
  }
  return kOfEnds;
}

}  // namespace

std::optional<std::string> why_not(Where where, const Setting& setting) {
  std::string_view key = setting.key;
  for (const std::string_view side : {"left", "right"}) {
    if (where == Where::conn && key.starts_with(side)) key.remove_prefix(side.size());
  }
  const Reason* found = find_in(table_of(where), key);
  if (found == nullptr && where == Where::conn) found = find_in(kOfConns, key);
  if (found == nullptr) return "nothing in oakgate's configuration is known to correspond to it";
  if (!found->fine.empty() && lower(setting.value) == found->fine) return std::nullopt;
  return std::string(found->why);
}

}  // namespace oakgate::conf::swan
