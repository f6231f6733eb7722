// Any bytes as what a SCEP server answers: to GetCACaps, to GetCACert, to PKIOperation, and as the content of
// an answer that is signed as it has to be.
#include "ike/crypto/distinguished_name.h"
#include "tests/pki/scep/support.h"

namespace {

using namespace oakgate;
using namespace oakgate::pki::scep;

// Elliptic curves: signing is quick, and what signs does not matter here.
struct World {
  test::TestCa ca{"CN=Root,O=test", test::ec_key(0)};
  pki::Certificate root = test::certificate(ca.certificate());
  std::vector<pki::Certificate> signers{root};
  crypto::PrivateKey key = *crypto::PrivateKey::generate_ec(crypto::KeyKind::ec_p256);
  pki::Certificate own =
      *make_signer(*crypto::name_from_text("CN=gw-a"), "0123", key, MessageDigest::sha256, test::kTestNow);
  Allowance allowance{"corp", test::waive({Weak::des, Weak::des3, Weak::md5}), test::kTestNow};
};

Result<Reply> read(const World& world, ByteView der) {
  return read_reply(der, {"0123", Nonce{}, world.signers, world.own, world.key, world.allowance});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const ByteView bytes(data, size);
  static_cast<void>(parse_capabilities(bytes));
  if (const auto authority = parse_authority(bytes)) {
    if (authority->cas.empty()) __builtin_trap();
    static_cast<void>(choose_authority(*authority, world.signers, EnrollmentMode::ra, test::kTestNow));
    // Whoever trusts all of it.
    static_cast<void>(choose_authority(*authority, authority->cas, EnrollmentMode::ca, test::kTestNow));
  }
  const Authority authority{world.root, world.root, world.signers, world.signers, {}};
  if (read_granted(bytes, world.key.public_key(), authority, test::kTestNow)) __builtin_trap();
  static_cast<void>(read_crl(bytes));
  if (read(world, bytes)) __builtin_trap();  // nobody has signed it
  if (size == 0) return 0;
  test::CertRep rep;
  rep.transaction = "0123";
  rep.recipient_nonce = Bytes(16, 0);
  rep.envelope = to_bytes(bytes);
  rep.signer = world.ca.certificate();
  rep.signer_key = world.ca.key();
  static_cast<void>(read(world, make_cert_rep(rep)));
  rep.status = "2";
  rep.fail_text = std::string(bytes.begin(), bytes.end());
  const auto refused = read(world, make_cert_rep(rep));
  if (!refused || refused->status != Status::failure) __builtin_trap();
  for (const char c : refused->reason) {
    if (c < 0x20 || c == 0x7f) __builtin_trap();
  }
  return 0;
}
