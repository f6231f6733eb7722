#include "daemon/control_protocol.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

TEST(ControlProtocol, ReadsEveryVerb) {
  const std::pair<const char*, ControlVerb> verbs[] = {
      {"status", ControlVerb::status},
      {"reload", ControlVerb::reload},
      {"monitor", ControlVerb::monitor},
      {"show crypto isakmp sa", ControlVerb::show_isakmp_sa},
      {"show crypto ipsec sa", ControlVerb::show_ipsec_sa},
      {"show crypto engine configuration", ControlVerb::show_crypto_engine},
      {"confirm", ControlVerb::confirm},
      {"explain", ControlVerb::explain},
      {"show running-config", ControlVerb::show_running_config},
      {"show crypto engine connections dropped-packet", ControlVerb::show_dropped_packets},
      {"clear crypto sa", ControlVerb::clear_sas},
      {"clear crypto sa counters", ControlVerb::clear_counters},
      {"clear crypto isakmp", ControlVerb::clear_isakmp},
      {"show debugging", ControlVerb::show_debug}};
  for (const auto& [name, verb] : verbs) {
    const auto request = parse_request(R"({"id":7,"version":1,"verb":")" + std::string(name) + "\"}");
    ASSERT_TRUE(request) << name;
    EXPECT_EQ(request->id, 7U);
    EXPECT_EQ(request->verb, verb);
    EXPECT_EQ(to_string(verb), name);
  }
}

TEST(ControlProtocol, ReadsTargetsAndFlags) {
  const auto request = parse_request(
      R"({"id":1,"version":1,"verb":"up","peer":"branch-7","tunnel":"lan","progress":true,"detail":false})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->verb, ControlVerb::up);
  EXPECT_EQ(request->peer, "branch-7");
  EXPECT_EQ(request->tunnel, "lan");
  EXPECT_TRUE(request->progress);
  EXPECT_FALSE(request->detail);
}

TEST(ControlProtocol, ACaptureHasABoundAndAPeer) {
  const auto request =
      parse_request(R"({"id":1,"version":1,"verb":"capture","peer":"b","seconds":3600,"keys":true})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->verb, ControlVerb::capture);
  EXPECT_EQ(request->seconds, Seconds(3600));
  EXPECT_TRUE(request->keys);
  EXPECT_EQ(right_for(ControlVerb::capture), Right::change);
  EXPECT_FALSE(parse_request(R"({"id":1,"version":1,"verb":"capture","peer":"b","seconds":3601})"));
  EXPECT_FALSE(parse_request(R"({"id":1,"version":1,"verb":"capture","peer":"b","seconds":0})"));
  EXPECT_FALSE(parse_request(R"({"id":1,"version":1,"verb":"capture","peer":"b","keys":1})"));
  EXPECT_FALSE(parse_request(R"({"id":1,"version":1,"verb":"capture"})"));
}

// What only some verbs take.
TEST(ControlProtocol, ReadsParticulars) {
  const auto entry = parse_request(
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{"destination":"2001:db8::1","protocol":"ah","spi":4294967295}})");
  ASSERT_TRUE(entry);
  ASSERT_TRUE(entry->sa);
  EXPECT_EQ(entry->sa->destination.to_string(), "2001:db8::1");
  EXPECT_EQ(entry->sa->protocol, IpsecProtocol::ah);
  EXPECT_EQ(entry->sa->spi, Spi{0xffffffff});
  const auto connection =
      parse_request(R"({"id":1,"version":1,"verb":"clear crypto connection","connection":1001})");
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->connection, 1001U);
  const auto debug =
      parse_request(R"({"id":1,"version":1,"verb":"debug crypto","facility":"pki","peer":"192.0.2.9"})");
  ASSERT_TRUE(debug);
  EXPECT_EQ(debug->facility, Facility::pki);
  EXPECT_EQ(debug->peer, "192.0.2.9");
  for (const ControlRequest& request : {*entry, *connection, *debug}) {
    const auto again = parse_request(dump(request_json(request)));
    ASSERT_TRUE(again) << dump(request_json(request));
    EXPECT_EQ(again->sa, request.sa);
    EXPECT_EQ(again->connection, request.connection);
    EXPECT_EQ(again->facility, request.facility);
  }
}

// What deletes SAs is not for those who may only look; what tells of them is.
TEST(ControlProtocol, ClearingIsChangingAndDebuggingIsLooking) {
  for (const ControlVerb verb : {ControlVerb::clear_sas, ControlVerb::clear_counters,
                                 ControlVerb::clear_isakmp, ControlVerb::clear_connection}) {
    EXPECT_EQ(right_for(verb), Right::change) << to_string(verb);
  }
  EXPECT_EQ(right_for(ControlVerb::debug), Right::look);
  EXPECT_EQ(right_for(ControlVerb::show_debug), Right::look);
}

TEST(ControlProtocol, WritesWhatItReads) {
  ControlRequest request;
  request.id = 18446744073709551615U;
  request.verb = ControlVerb::down;
  request.peer = "a\"b\n";
  request.tunnel = "lan";
  request.trustpoint = "corp";
  request.detail = true;
  request.confirm = Seconds{120};
  request.seconds = Seconds{30};
  request.keys = true;
  request.file = "new.yaml";
  const auto again = parse_request(dump(request_json(request)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, request.id);
  EXPECT_EQ(again->verb, request.verb);
  EXPECT_EQ(again->confirm, request.confirm);
  EXPECT_EQ(again->seconds, request.seconds);
  EXPECT_TRUE(again->keys);
  EXPECT_EQ(again->peer, request.peer);
  EXPECT_EQ(again->tunnel, request.tunnel);
  EXPECT_EQ(again->trustpoint, request.trustpoint);
  EXPECT_EQ(again->file, request.file);
  EXPECT_TRUE(again->detail);
}

TEST(ControlProtocol, RefusesEverythingElse) {
  const char* bad[] = {
      "",
      "{",
      "null",
      "[]",
      "{}",
      R"({"version":1,"verb":"status"})",
      R"({"id":-1,"version":1,"verb":"status"})",
      R"({"id":"1","version":1,"verb":"status"})",
      R"({"id":1,"verb":"status"})",
      R"({"id":1,"version":2,"verb":"status"})",
      R"({"id":1,"version":"1","verb":"status"})",
      R"({"id":1,"version":1})",
      R"({"id":1,"version":1,"verb":[]})",
      R"({"id":1,"version":1,"verb":"restart"})",
      R"({"id":1,"version":1,"verb":"up"})",
      R"({"id":1,"version":1,"verb":"up","peer":""})",
      R"({"id":1,"version":1,"verb":"up","peer":7})",
      R"({"id":1,"version":1,"verb":"status","tunnel":"lan"})",
      R"({"id":1,"version":1,"verb":"pki crl request"})",
      R"({"id":1,"version":1,"verb":"pki crl request","trustpoint":[]})",
      R"({"id":1,"version":1,"verb":"reload","confirm":"120"})",
      R"({"id":1,"version":1,"verb":"reload","confirm":4})",
      R"({"id":1,"version":1,"verb":"reload","confirm":86401})",
      R"({"id":1,"version":1,"verb":"reload","confirm":-5})",
      R"({"id":1,"version":1,"verb":"check","file":""})",
      R"({"id":1,"version":1,"verb":"check","file":7})",
      R"({"id":1,"version":1,"verb":"reload","file":"../o.yaml"})",
      R"({"id":1,"version":1,"verb":"reload","file":"/etc/passwd"})",
      R"({"id":1,"version":1,"verb":"reload","file":".hidden"})",
      R"({"id":1,"version":1,"verb":"status","detail":1})",
      R"({"id":1,"version":1,"verb":"debug crypto"})",
      R"({"id":1,"version":1,"verb":"debug crypto","facility":"ike"})",
      R"({"id":1,"version":1,"verb":"debug crypto","facility":7})",
      R"({"id":1,"version":1,"verb":"clear crypto connection"})",
      R"({"id":1,"version":1,"verb":"clear crypto connection","connection":0})",
      R"({"id":1,"version":1,"verb":"clear crypto isakmp","connection":-1})",
      R"({"id":1,"version":1,"verb":"clear crypto isakmp","connection":2147483648})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":"0x1"})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{}})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{"destination":"b","protocol":"esp","spi":1}})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{"destination":"::1","protocol":"tcp","spi":1}})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{"destination":"::1","protocol":"esp","spi":-1}})",
      R"({"id":1,"version":1,"verb":"clear crypto sa","sa":{"destination":"::1","protocol":"esp","spi":4294967296}})"};
  for (const char* line : bad) {
    const auto request = parse_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(request.error().error.code, ErrorCode::malformed) << line;
    EXPECT_FALSE(request.error().error.text.empty());
    EXPECT_FALSE(request.error().error.expected.empty());
  }
}

TEST(ControlProtocol, AnswersABadRequestByItsId) {
  EXPECT_EQ(parse_request(R"({"id":42,"version":1,"verb":"restart"})").error().id, 42U);
  EXPECT_EQ(parse_request("nonsense").error().id, 0U);
}

TEST(ControlProtocol, BoundsLinesAndNames) {
  const std::string head = R"({"id":1,"version":1,"verb":"up","peer":")";
  EXPECT_TRUE(parse_request(head + std::string(kMaxTarget, 'a') + "\"}"));
  EXPECT_FALSE(parse_request(head + std::string(kMaxTarget + 1, 'a') + "\"}"));
  EXPECT_FALSE(parse_request(std::string(kMaxRequestLine + 1, ' ')));
  EXPECT_FALSE(parse_request(std::string(4000, '[')));
}

TEST(ControlProtocol, LinesAreSingleLinesWhateverIsInThem) {
  const std::string evil = "a\nb\xff\xfe\x01";
  for (const std::string& line : {answer_line(1, Json(evil)), event_line(2, Json(evil)),
                                  error_line(3, Error{ErrorCode::not_found, evil, evil, evil, {}})}) {
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_TRUE(Json::accept(line)) << line;
  }
}

TEST(ControlProtocol, ErrorsCarryTheExitCode) {
  EXPECT_EQ(
      error_line(5, Error{ErrorCode::not_found, "no such peer", "one of: a", "look", {}}, {{"more", 1}}),
      R"({"id":5,"ok":false,"error":{"code":"not-found","text":"no such peer","expected":"one of: a",)"
      R"("remedy":"look","exit":5,"more":1}})");
  EXPECT_EQ(exit_for(ErrorCode::configuration), Exit::configuration);
  EXPECT_EQ(exit_for(ErrorCode::malformed), Exit::usage);
  EXPECT_EQ(exit_for(ErrorCode::no_answer), Exit::failed);
  EXPECT_EQ(exit_for(ErrorCode::wrong_key), Exit::failed);
}

}  // namespace
}  // namespace oakgate
