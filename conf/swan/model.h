// What either program's configuration says about IKEv1, before it becomes ours. Private to conf/swan/. Keys
// are secret.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conf/imported.h"
#include "ike/base/nat_forms.h"
#include "ike/base/trust.h"

namespace oakgate::conf::swan {

// A setting as it stands in a file. `value` may be a secret where `key` is one.
struct Setting {
  int line = 0;
  std::string key;
  std::string value;
};

struct Child {
  int line = 0;
  std::string name;
  std::vector<Selector> local;
  std::vector<Selector> remote;
  std::vector<TransformSet> sets;  // without names
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  StartMode start = StartMode::responder;
  bool rekeys = true;
  std::uint32_t replay_window = 0;  // 0: not said
  std::optional<bool> esn;
  std::string mark;  // "7/0xff"; empty: none
};

struct Connection {
  int line = 0;
  std::string name;
  std::string local_address;   // empty: whatever it is
  std::string remote_address;  // an address, subnet, range or host name; "any"
  std::string local_identity;  // as our configuration writes them; empty: the address
  std::string remote_identity;
  AuthMethod authentication = AuthMethod::pre_share;
  std::string certificate;  // the file's or nickname's own name
  std::vector<std::string> authorities;
  std::vector<IsakmpPolicy> policies;  // their numbers are not set
  bool aggressive = false;
  std::optional<DeadPeerDetection> dpd;  // none: not said
  NatTraversal nat_traversal = NatTraversal::rfc;
  bool fragmentation = true;
  std::optional<SendCertificate> send_certificate;
  bool sha256_96 = false;
  std::vector<Child> children;
};

struct Secret {
  int line = 0;
  std::vector<std::string> owners;  // addresses and identities as the file has them; empty: everybody
  SecretBytes key;
};

struct Model {
  std::string program;  // "strongSwan", "libreswan"
  std::string file;     // "ipsec.conf"
  std::vector<Connection> connections;
  std::vector<Secret> secrets;
  bool secrets_known = true;  // false: the file that has them was not there
  bool side_guessed = false;  // that `left` is this machine
  std::string revocation = "crl-optional";
  std::string certificate_folder;  // where the program has certificates that are named without one
  std::string authority_folder;
  std::string key_folder;
  std::vector<Note> notes;
};

// write.cc
[[nodiscard]] Imported write_model(Model model, std::chrono::sys_days weak_until);

}  // namespace oakgate::conf::swan
