// Any bytes as a CRL: refused, or every field readable; without the CA's key none is believed.
#include "pki/crl.h"
#include "tests/pki/support/ca.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  static test::TestCa ca("CN=Root,O=test", test::ec_key(0));
  static const auto issuer = pki::Certificate::parse(ca.certificate());
  const auto crl = pki::Crl::parse({data, size});
  if (!crl || !issuer) return 0;
  if (crl->der().size() > pki::kMaxCrlBytes || crl->entries() > pki::kMaxCrlEntries) __builtin_trap();
  const auto again = pki::Crl::parse(crl->der());
  if (!again || again->entries() != crl->entries() || again->scope() != crl->scope()) __builtin_trap();
  // The key is new in each process: nothing that was made before can verify.
  if (crl->signed_by(*issuer)) __builtin_trap();
  static_cast<void>(crl->covers(*issuer));
  static_cast<void>(crl->find(*issuer));
  static_cast<void>(crl->number());
  static_cast<void>(crl->issuer_text());
  static_cast<void>(crl->signature_digest());
  static_cast<void>(crl->current(test::kTestNow));
  return 0;
}
