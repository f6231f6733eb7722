#include "pki/identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::pki {
namespace {

constexpr std::size_t kMaxPrinted = 200;

bool is_graphic(char c) {
  return c > 0x20 && c < 0x7f;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string list(const std::vector<std::string>& texts) {
  if (texts.empty()) return "none";
  std::vector<std::string> shown;
  for (const std::string& text : texts) shown.push_back(printable(text));
  return fmt::format("{}", fmt::join(shown, " "));
}

std::string describe(const Identity& identity) {
  return printable(identity.to_string());
}

// What IOS calls the kinds: the word in its message, the one for what the certificate has, and the number of
// RFC 2407 section 4.6.2.1.
struct Kind {
  std::string_view message;
  std::string_view field;
  int type;
};
Kind kind_of(const Identity& identity) {
  switch (identity.kind) {
    case IdentityKind::address:
      return {"ADDR", "addr", identity.address.is_v4() ? 1 : 5};
    case IdentityKind::fqdn:
      return {"FQDN", "fqdn", 2};
    case IdentityKind::user_fqdn:
      return {"USER_FQDN", "user fqdn", 3};
    case IdentityKind::dn:
      break;
  }
  return {"DN", "dn", 9};
}

struct Held {
  bool found = false;
  std::string instead;
};
Held look_for(const Identity& claimed, const Certificate& leaf) {
  const AlternativeNames names = leaf.names();
  Held out;
  switch (claimed.kind) {
    case IdentityKind::address: {
      out.found =
          std::find(names.addresses.begin(), names.addresses.end(), claimed.address) != names.addresses.end();
      std::vector<std::string> texts;
      for (const IpAddress& address : names.addresses) texts.push_back(address.to_string());
      out.instead = list(texts);
      break;
    }
    case IdentityKind::fqdn:
      out.found =
          std::any_of(names.host_names.begin(), names.host_names.end(),
                      [&claimed](const std::string& name) { return same_host_name(name, claimed.text); });
      out.instead = list(names.host_names);
      break;
    case IdentityKind::user_fqdn:
      out.found =
          std::any_of(names.user_names.begin(), names.user_names.end(),
                      [&claimed](const std::string& name) { return same_user_name(name, claimed.text); });
      out.instead = list(names.user_names);
      break;
    case IdentityKind::dn:
      out.found = crypto::same_name(claimed.der, leaf.subject());
      out.instead = printable(leaf.subject_text());
      break;
  }
  return out;
}

Result<void> check_against_certificate(const Identity& claimed, const Certificate& leaf) {
  const Held held = look_for(claimed, leaf);
  if (held.found) return {};
  const Kind kind = kind_of(claimed);
  const std::string value =
      claimed.kind == IdentityKind::address ? claimed.address.to_string() : printable(claimed.text);
  return fail(
      ErrorCode::identity_mismatch,
      fmt::format("%CRYPTO-6-IKMP_NO_ID_CERT_{}_MATCH: ID of {} (type {}) and certificate {} with {}",
                  kind.message, value, kind.type, kind.field, held.instead),
      "the identity in the certificate's subjectAltName, or as IOS has it in its subject",
      "Have the peer claim another identity (on IOS: crypto isakmp identity), or enroll it with this one.");
}

bool same_distinguished_name(const Identity& claimed, const Identity& wanted) {
  if (!wanted.der.empty()) return crypto::same_name(claimed.der, wanted.der);
  const auto der = crypto::name_from_text(wanted.text);
  return der && crypto::same_name(claimed.der, *der);
}

bool is_wanted(const PeerProof& proof) {
  const Identity& claimed = proof.claimed;
  const Identity& wanted = proof.wanted;
  if (claimed.kind != wanted.kind) return false;
  switch (wanted.kind) {
    case IdentityKind::address:
      if (!wanted.address.is_any()) return claimed.address == wanted.address;
      // Behind a NAT the address it claims may be its inner one; its certificate holds it (that was checked).
      return claimed.address == proof.source || proof.behind_nat;
    case IdentityKind::fqdn:
      return same_host_name(claimed.text, wanted.text);
    case IdentityKind::user_fqdn:
      return same_user_name(claimed.text, wanted.text);
    case IdentityKind::dn:
      // No text: whatever the certificate's subject is; that it is the one claimed was checked.
      return (wanted.text.empty() && wanted.der.empty()) || same_distinguished_name(claimed, wanted);
  }
  return false;
}

std::string describe_wanted(const PeerProof& proof) {
  const Identity& wanted = proof.wanted;
  if (wanted.kind == IdentityKind::address && wanted.address.is_any()) {
    return "its address, " + proof.source.to_string();
  }
  if (wanted.kind == IdentityKind::dn && wanted.text.empty()) return "its certificate's subject";
  return describe(wanted);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= kMaxPrinted) return out + "...";
    if (c == ' ' || (is_graphic(c) && c != '\\' && c != '"')) {
      out += c;
    } else if (c == '\\' || c == '"') {
      out += '\\';
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 255 || text.front() == '.' || text.back() == '.') return false;
  if (text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_graphic(c) && c != '*' && c != '@'; });
}

bool same_host_name(std::string_view a, std::string_view b) {
  return is_host_name(a) && is_host_name(b) &&
         std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool same_user_name(std::string_view a, std::string_view b) {
  const std::size_t at = a.find('@');
  if (at == std::string_view::npos || at == 0 || b.substr(0, at + 1) != a.substr(0, at + 1)) return false;
  const auto graphic = [](std::string_view user) {
    return std::all_of(user.begin(), user.end(), is_graphic);
  };
  return graphic(a.substr(0, at)) && same_host_name(a.substr(at + 1), b.substr(at + 1));
}

Result<void> check_identity(const PeerProof& proof, const Certificate& leaf) {
  if (auto held = check_against_certificate(proof.claimed, leaf); !held) return held;
  if (is_wanted(proof)) return {};
  // Not escaped, and nothing behind it: who tells the peer's failures takes the identity from here.
  return fail(ErrorCode::identity_mismatch, "the peer proved to be " + proof.claimed.to_string(),
              describe_wanted(proof),
              fmt::format("If this is the peer, set identity: {} for it.", describe(proof.claimed)));
}

}  // namespace oakgate::pki
