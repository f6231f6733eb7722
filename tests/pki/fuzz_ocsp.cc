// Any bytes as an OCSP answer: refused or read, never believed without a signature.
#include <cstdint>

#include "pki/ocsp.h"
#include "tests/pki/support/ca.h"

namespace {

oakgate::pki::Certificate parsed(const oakgate::Bytes& der) {
  auto certificate = oakgate::pki::Certificate::parse(der);
  if (!certificate) __builtin_trap();
  return *certificate;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static oakgate::test::TestCa ca("CN=Root,O=test", oakgate::test::ec_key(0));
  static const auto issuer = parsed(ca.certificate());
  static const auto subject = parsed(ca.issue({.key = oakgate::test::ec_key(1)}));
  // The key is new in each process: nothing that was made before can verify.
  if (oakgate::pki::read_ocsp_answer({data, size}, subject, issuer, oakgate::test::kTestNow))
    __builtin_trap();
  return 0;
}
