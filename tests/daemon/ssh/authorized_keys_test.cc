// Lines of authorized_keys, and keys as OpenSSH writes them.
#include "daemon/ssh/authorized_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pki/support/ca.h"
#include "tests/pki/support/folder.h"

namespace oakgate::ssh {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(AuthorizedKeys, TheSubjectIsOneWordForEveryShell) {
  const std::string subject = "CN=a`reboot` $(x) \"y\" 'z'\\,O=\xc3\xa9\n";
  const std::string word = encode_subject(subject);
  EXPECT_EQ(word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=,.@/_+-%"),
            std::string::npos)
      << word;
  EXPECT_EQ(decode_subject(word), subject);
  EXPECT_EQ(encode_subject("CN=alice,O=example"), "CN=alice,O=example");
  EXPECT_EQ(encode_subject("--look")[0], '%');
  EXPECT_EQ(decode_subject("%4"), "");
  EXPECT_EQ(decode_subject("a b"), "");
  EXPECT_EQ(decode_subject("%zz"), "");
}

TEST(AuthorizedKeys, ALineForcesTheShell) {
  AuthorizedKey key{{"ssh-rsa", "AAAA"}, WallTime{std::chrono::seconds(1781524800)}, "CN=alice smith", false};
  EXPECT_EQ(authorized_line(key, {"/usr/bin/oakgate", "/var/lib/oakgate-ssh"}, "alice"),
            "expiry-time=\"20260615120000Z\",restrict,pty,command=\"/usr/bin/oakgate shell --look --login "
            "/var/lib/oakgate-ssh --operator CN=alice%20smith\" ssh-rsa AAAA alice\n");
  key.change = true;
  const std::string line = authorized_line(key, {"/a \"b\"/it's", "/f"}, "alice");
  EXPECT_THAT(line, Not(HasSubstr("--look")));
  EXPECT_THAT(line, HasSubstr("command=\"'/a \\\"b\\\"/it'\\''s' shell"));
}

// ssh-keygen says the same of the same keys.
TEST(PublicKey, IsWhatOpenSshMakesOfIt) {
  const test::Folder folder;
  for (EVP_PKEY* key :
       {test::rsa_key(1), test::ec_key(1), test::ec_key(2, "P-384"), test::ec_key(3, "P-521")}) {
    const std::string file = folder.write("key", test::private_key_pem(key));
    const std::string out = (folder.path() / "out").string();
    ASSERT_EQ(std::system(("chmod 600 " + file + " && ssh-keygen -y -f " + file + " >" + out).c_str()), 0);
    std::ifstream stream(out);
    std::string type;
    std::string blob;
    stream >> type >> blob;
    const auto ours = public_key(test::public_key_der(key));
    ASSERT_TRUE(ours);
    EXPECT_EQ(ours->type, type);
    EXPECT_EQ(ours->blob, blob);
  }
}

}  // namespace
}  // namespace oakgate::ssh
