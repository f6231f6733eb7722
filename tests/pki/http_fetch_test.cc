// HTTP against a server in this process, on loopback. 127.0.0.2 plays the public Internet where a test needs
// one; names are answered by the test.
#include "pki/http_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>

#include "pki/fetcher.h"
#include "tests/pki/support/test_server.h"

namespace oakgate::pki {
namespace {

using test::http_answer;
using test::http_redirect;
using test::TestReply;
using test::TestServer;
using testing::HasSubstr;
using testing::Not;

constexpr Milliseconds kShort{300};

AddressRules rules_of_tests() {
  AddressRules rules;
  rules.look_up = [](const std::string& host) -> Result<std::vector<IpAddress>> {
    if (host == "ca.example") return std::vector<IpAddress>{*IpAddress::parse("127.0.0.1")};
    if (host == "public.example") return std::vector<IpAddress>{*IpAddress::parse("127.0.0.2")};
    if (host == "mixed.example") {
      return std::vector<IpAddress>{*IpAddress::parse("127.0.0.1"), *IpAddress::parse("127.0.0.2")};
    }
    return fail(ErrorCode::fetch_failed, host + ": can not resolve server name/IP address: none", {},
                "mend it");
  };
  rules.kind = [](const IpAddress& address) {
    return address == *IpAddress::parse("127.0.0.2") ? std::string_view() : address_kind(address);
  };
  return rules;
}

Result<Fetched> fetch(const FetchRequest& request) {
  return NetworkFetcher(rules_of_tests()).fetch(request);
}
FetchRequest get(const std::string& url, bool configured = true) {
  FetchRequest request;
  request.url = url;
  request.configured = configured;
  request.timeout = Milliseconds{5000};
  return request;
}
std::string error_of(const FetchRequest& request) {
  const Result<Fetched> fetched = fetch(request);
  if (fetched) return "fetched " + std::to_string(fetched->body.size()) + " bytes";
  EXPECT_EQ(fetched.error().code, ErrorCode::fetch_failed);
  EXPECT_FALSE(fetched.error().remedy.empty());
  return fetched.error().text;
}
TestServer::Handler always(const std::string& bytes, TestReply::Then then = TestReply::Then::close) {
  return [=](const std::string&) { return TestReply{bytes, then}; };
}

TEST(HttpFetch, GetsABodyAndItsType) {
  const TestServer server(always(http_answer("a list", "Application/PKIX-crl; charset=none")));
  const Result<Fetched> fetched = fetch(get(server.url("/corp.crl?a=b")));
  ASSERT_TRUE(fetched) << fetched.error().text;
  EXPECT_EQ(fetched->body, to_bytes(as_bytes("a list")));
  EXPECT_EQ(fetched->content_type, "application/pkix-crl");
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_THAT(server.requests()[0], HasSubstr("GET /corp.crl?a=b HTTP/1.1\r\n"));
  EXPECT_THAT(server.requests()[0], Not(HasSubstr("Cookie")));
  EXPECT_THAT(server.requests()[0], Not(HasSubstr("Authorization")));
}

TEST(HttpFetch, PostsABody) {
  const TestServer server(always(http_answer("answer")));
  FetchRequest request = get(server.url());
  request.body = {0, 1, 2, 'x'};
  request.body_type = "application/ocsp-request";
  ASSERT_TRUE(fetch(request));
  const std::string sent = server.requests().at(0);
  EXPECT_THAT(sent, HasSubstr("POST / HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("Content-Type: application/ocsp-request\r\n"));
  EXPECT_THAT(sent, Not(HasSubstr("Expect")));
  EXPECT_EQ(sent.substr(sent.size() - 4), std::string("\0\1\2x", 4));
}

TEST(HttpFetch, NamesResolveOnceAndByUs) {
  const TestServer server(always(http_answer("x")));
  EXPECT_TRUE(fetch(get("http://ca.example:" + std::to_string(server.port()) + "/")));
  EXPECT_THAT(server.requests().at(0), HasSubstr("Host: ca.example:"));
  EXPECT_THAT(error_of(get("http://nowhere.example/")), HasSubstr("can not resolve server name"));
}

TEST(HttpFetch, ANameServerThatIsSilentEndsWithTheTime) {
  const auto gate = std::make_shared<std::promise<void>>();
  AddressRules rules = rules_of_tests();
  rules.look_up = [future =
                       gate->get_future().share()](const std::string&) -> Result<std::vector<IpAddress>> {
    future.wait();
    return std::vector<IpAddress>{};
  };
  FetchRequest request = get("http://ca.example/");
  request.timeout = kShort;
  const Result<Fetched> fetched = NetworkFetcher(rules).fetch(request);
  ASSERT_FALSE(fetched);
  EXPECT_THAT(fetched.error().text, HasSubstr("no name server answered in time"));
  gate->set_value();
}

TEST(HttpFetch, TheSizeIsBounded) {
  const std::string body(1000, 'x');
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + body + "\r\n0\r\n\r\n";
  for (const std::string& answer : {http_answer(body), chunked, "HTTP/1.1 200 OK\r\n\r\n" + body}) {
    const TestServer server(always(answer));
    FetchRequest request = get(server.url());
    request.max_bytes = 1000;
    EXPECT_TRUE(fetch(request));
    request.max_bytes = 999;
    EXPECT_THAT(error_of(request), HasSubstr("more than 999 bytes"));
  }
}

TEST(HttpFetch, AnEndlessBodyEndsAtTheBound) {
  // Larger than the socket's buffers: the server is still sending when the client has had enough.
  const TestServer server(always("HTTP/1.1 200 OK\r\n\r\n" + std::string(20'000'000, 'x')));
  EXPECT_THAT(error_of(get(server.url())), HasSubstr("more than 10000000 bytes"));
}

TEST(HttpFetch, TheHeaderIsBounded) {
  std::string answer = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 2000; ++i)
    answer += "X-Header-" + std::to_string(i) + ": " + std::string(64, 'x') + "\r\n";
  const TestServer server(always(answer + "\r\nbody"));
  EXPECT_THAT(error_of(get(server.url())), HasSubstr("bytes of header"));
}

TEST(HttpFetch, TarpitsEndWithTheTotalTime) {
  for (const std::string& begin :
       {std::string("HTTP/1.1 200 OK\r\nX-Slow: "),
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(2, 'x')}) {
    for (const auto then : {TestReply::Then::drip, TestReply::Then::hold}) {
      const TestServer server(always(begin, then));
      FetchRequest request = get(server.url());
      request.timeout = kShort;
      const auto started = std::chrono::steady_clock::now();
      EXPECT_THAT(error_of(request), HasSubstr("no complete answer within 300 ms"));
      EXPECT_LT(std::chrono::steady_clock::now() - started, Milliseconds{4000});
    }
  }
}

TEST(HttpFetch, AnAnswerCutShortIsNone) {
  const TestServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"));
  EXPECT_THAT(error_of(get(server.url())), HasSubstr("cut short after 9 bytes"));
}

TEST(HttpFetch, OtherStatusesAndEmptyAnswersAreErrors) {
  const TestServer missing(always("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!"));
  EXPECT_THAT(error_of(get(missing.url())), HasSubstr("HTTP status 404"));
  const TestServer empty(always(http_answer("")));
  EXPECT_THAT(error_of(get(empty.url())), HasSubstr("the answer is empty"));
}

TEST(HttpFetch, TheTypeIsLookedAtIfAskedFor) {
  const TestServer server(always(http_answer("<html>", "text/html")));
  FetchRequest request = get(server.url());
  EXPECT_TRUE(fetch(request));
  request.accepted_types = {"application/ocsp-response"};
  EXPECT_THAT(error_of(request), HasSubstr("of type \"text/html\""));
}

TEST(HttpFetch, FollowsThreeRedirections) {
  const TestServer* self = nullptr;
  const TestServer server([&](const std::string& request) {
    for (const int left : {5, 4, 3, 2, 1}) {
      if (request.starts_with("GET /" + std::to_string(left))) {
        return TestReply{http_redirect(left == 1 ? "/end" : self->url("/" + std::to_string(left - 1)))};
      }
    }
    return TestReply{http_answer("here")};
  });
  self = &server;
  EXPECT_TRUE(fetch(get(server.url("/3"))));
  EXPECT_THAT(error_of(get(server.url("/4"))), HasSubstr("more than 3 redirections"));
}

TEST(HttpFetch, RedirectionsLeadToHttpOnly) {
  for (const char* elsewhere :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "ldap://127.0.0.1/", "gopher://127.0.0.1/x"}) {
    const TestServer server(always(http_redirect(elsewhere)));
    EXPECT_THAT(error_of(get(server.url())), Not(HasSubstr("fetched"))) << elsewhere;
    EXPECT_EQ(server.requests().size(), 1U);
  }
}

TEST(HttpFetch, APostIsPostedAgainOnlyWhenToldSo) {
  const TestServer end(always(http_answer("done")));
  for (const auto& [status, follows] : {std::pair{307, true}, {308, true}, {302, false}, {303, false}}) {
    const TestServer server(always(http_redirect(end.url(), status)));
    FetchRequest request = get(server.url());
    request.body = {1};
    EXPECT_EQ(fetch(request).has_value(), follows) << status;
  }
}

TEST(HttpFetch, WhatACertificateNamesMustBePublic) {
  const TestServer inside(always(http_answer("secret")));
  const TestServer outside(always(http_answer("public")), "127.0.0.2");
  EXPECT_THAT(error_of(get(inside.url(), false)), HasSubstr("127.0.0.1 is a loopback address: not asked"));
  const std::string port = ":" + std::to_string(inside.port()) + "/";
  EXPECT_THAT(error_of(get("http://ca.example" + port, false)), HasSubstr("a loopback address"));
  for (const char* disguise :
       {"http://2130706433", "http://0x7f000001", "http://0177.1", "http://[::ffff:127.0.0.1]",
        "http://[::1]", "http://[fe80::1]", "http://169.254.169.254", "http://[::127.0.0.1]"}) {
    EXPECT_THAT(error_of(get(disguise + port, false)), Not(HasSubstr("fetched"))) << disguise;
  }
  EXPECT_TRUE(inside.requests().empty());
  EXPECT_TRUE(fetch(get(outside.url(), false)));
  EXPECT_TRUE(fetch(get("http://public.example:" + std::to_string(outside.port()) + "/", false)));
  // Only the public one of a name's addresses is asked.
  EXPECT_TRUE(fetch(get("http://mixed.example:" + std::to_string(outside.port()) + "/", false)));
}

TEST(HttpFetch, NoRedirectionLeadsFromAPublicAddressInside) {
  const TestServer inside(always(http_answer("secret")));
  const TestServer outside(always(http_redirect(inside.url())), "127.0.0.2");
  EXPECT_THAT(error_of(get(outside.url(), false)), HasSubstr("a loopback address"));
  EXPECT_THAT(error_of(get(outside.url(), true)), HasSubstr("a loopback address"));
  EXPECT_TRUE(inside.requests().empty());
  const TestServer within(always(http_redirect(inside.url())));
  EXPECT_TRUE(fetch(get(within.url(), true))) << "inside stays inside";
  const TestServer there_and_back(always(http_redirect(outside.url())));
  EXPECT_THAT(error_of(get(there_and_back.url(), true)), HasSubstr("a loopback address"));
}

TEST(HttpFetch, ProxiesOfTheEnvironmentAreIgnored) {
  const TestServer proxy(always(http_answer("from the proxy")));
  const TestServer server(always(http_answer("right")));
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  ::setenv("all_proxy", proxy.url().c_str(), 1);
  const Result<Fetched> fetched = fetch(get(server.url()));
  ::unsetenv("http_proxy");
  ::unsetenv("all_proxy");
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->body, to_bytes(as_bytes("right")));
  EXPECT_TRUE(proxy.requests().empty());
}

TEST(HttpFetch, BadUrlsAreNamed) {
  EXPECT_THAT(error_of(get("http://user:password@127.0.0.1/")), HasSubstr("credentials are never sent"));
  EXPECT_THAT(error_of(get("ftp://127.0.0.1/")), HasSubstr("no URL to fetch from"));
  EXPECT_THAT(error_of(get("http://" + std::string(40000, 'a'))), HasSubstr("no URL to fetch from"));
  for (const char* url :
       {"http://", "http:///x", "http://a b/", "http://ca.example:99999/", "http://\xc3\xa4.example/",
        "http://ca.example\r\nX: y/", "http://[::1%25lo]/", "http://a,b/"}) {
    const std::string error = error_of(get(url));
    EXPECT_THAT(error, Not(HasSubstr("fetched"))) << url;
    EXPECT_THAT(error, Not(HasSubstr("\n")));
  }
}

TEST(HttpFetch, NobodyListens) {
  std::uint16_t port = 0;
  {
    const TestServer gone(always(""));
    port = gone.port();
  }
  EXPECT_THAT(error_of(get("http://127.0.0.1:" + std::to_string(port) + "/")), HasSubstr("no connection"));
}

TEST(HttpFetch, GarbageIsNoAnswer) {
  for (const std::string& bytes :
       {std::string("\0\1\2\3garbage", 11), std::string("HTTP/1.1 200"), std::string(),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    const TestServer server(always(bytes));
    EXPECT_THAT(error_of(get(server.url())), Not(HasSubstr("fetched")));
  }
}

}  // namespace
}  // namespace oakgate::pki
