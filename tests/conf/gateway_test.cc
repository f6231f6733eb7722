#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;

GatewayConfig gateway(const std::string& text, const std::string& file = "f.yaml") {
  auto outcome = parse_config(text, file);
  EXPECT_THAT(lines(outcome), ElementsAre());
  return outcome.config ? outcome.config->gateway : GatewayConfig{};
}

TEST(Gateway, Defaults) {
  const GatewayConfig all = gateway("gateway: {}\n");
  EXPECT_EQ(all.name, "");
  EXPECT_EQ(all.identity, std::nullopt);
  EXPECT_TRUE(all.listen.empty());
  EXPECT_EQ(all.data_plane, DataPlaneChoice::automatic);
  EXPECT_EQ(all.control_socket, "/run/oakgate/control.sock");
  EXPECT_EQ(all.control_group, "");
  EXPECT_EQ(all.state_dir, "/var/lib/oakgate");
  EXPECT_EQ(all.half_open, (HalfOpenLimits{1024, 16, 60}));
}

TEST(Gateway, EveryKey) {
  const GatewayConfig all = gateway(
      "gateway:\n"
      "  name: gw-a\n"
      "  identity: hostname:gw-a.example.net\n"
      "  listen: [192.0.2.1, \"2001:db8::\", 2001:db8::1]\n"
      "  data_plane: software\n"
      "  control_socket: run/a.sock\n"
      "  control_group: netops\n"
      "  state_dir: ../state\n"
      "  half_open: {total: 64, per_source: 64, aggressive_per_minute: 600}\n",
      "/etc/oakgate/f.yaml");
  EXPECT_EQ(all.name, "gw-a");
  EXPECT_EQ(all.identity->to_string(), "hostname:gw-a.example.net");
  EXPECT_EQ(all.listen.size(), 3U);
  EXPECT_EQ(all.listen[1].to_string(), "2001:db8::");
  EXPECT_EQ(all.data_plane, DataPlaneChoice::software);
  EXPECT_EQ(all.control_socket, "/etc/oakgate/run/a.sock");
  EXPECT_EQ(all.control_group, "netops");
  EXPECT_EQ(all.state_dir, "/etc/state");
  EXPECT_EQ(all.half_open, (HalfOpenLimits{64, 64, 600}));
}

TEST(Gateway, FlowMapsTakeColonsInsideWords) {
  const GatewayConfig all = gateway("gateway: {identity: hostname:gw-a.example.net, listen: 2001:db8::1}\n");
  EXPECT_EQ(all.identity->to_string(), "hostname:gw-a.example.net");
  EXPECT_EQ(all.listen[0].to_string(), "2001:db8::1");
  EXPECT_EQ(gateway("gateway: {data_plane: kernel}").data_plane, DataPlaneChoice::kernel);
  EXPECT_EQ(gateway("gateway: {name: \"no\"}").name, "no");
  EXPECT_EQ(gateway("gateway: {name: x}").workers, std::nullopt);
  EXPECT_EQ(gateway("gateway: {workers: auto}").workers, std::nullopt);
  EXPECT_EQ(gateway("gateway: {data_plane: kernel, workers: auto}").workers, std::nullopt);
  EXPECT_EQ(gateway("gateway: {workers: 1}").workers, 1U);
  EXPECT_EQ(gateway("gateway: {workers: 64}").workers, 64U);
  EXPECT_EQ(gateway("gateway: {name: x}").on_exit, OnExit::remove);
  EXPECT_FALSE(gateway("gateway: {name: x}").metrics);
  const auto metrics = [](const char* text) {
    return *gateway(std::string("gateway: {metrics: \"") + text + "\"}").metrics;
  };
  EXPECT_EQ(metrics("unix:/run/oakgate/metrics.sock").socket, "/run/oakgate/metrics.sock");
  EXPECT_EQ(gateway("gateway: {metrics: unix:m.sock}", "/etc/oakgate/f.yaml").metrics->socket,
            "/etc/oakgate/m.sock");
  EXPECT_EQ(metrics("127.0.0.1:9814").endpoint.to_string(), "127.0.0.1:9814");
  EXPECT_EQ(metrics("127.3.4.5:1").endpoint.to_string(), "127.3.4.5:1");
  EXPECT_EQ(metrics("[::1]:9814").endpoint.to_string(), "[::1]:9814");
  EXPECT_EQ(gateway("gateway: {name: x}").capture, CaptureChoice::off);
  EXPECT_EQ(gateway("gateway: {capture: off}").capture, CaptureChoice::off);
  EXPECT_EQ(gateway("gateway: {capture: packets}").capture, CaptureChoice::packets);
  EXPECT_EQ(gateway("gateway: {capture: keys}").capture, CaptureChoice::keys);
  EXPECT_EQ(gateway("gateway: {name: x}").diffie_hellman, DhChoice::batched);
  EXPECT_EQ(gateway("gateway: {diffie_hellman: single}").diffie_hellman, DhChoice::single);
  EXPECT_EQ(gateway("gateway: {on_exit: keep}").on_exit, OnExit::keep);
  EXPECT_EQ(gateway("gateway: {data_plane: kernel, on_exit: keep}").on_exit, OnExit::keep);
  EXPECT_EQ(gateway("gateway: {data_plane: software, on_exit: delete}").on_exit, OnExit::remove);
}

struct Case {
  std::string text;
  std::string line;
};
class GatewayErrors : public testing::TestWithParam<Case> {};
TEST_P(GatewayErrors, Say) {
  EXPECT_THAT(errors("gateway: {" + GetParam().text + "}\n"), ElementsAre("f.yaml:1:" + GetParam().line));
}
INSTANTIATE_TEST_SUITE_P(
    All, GatewayErrors,
    testing::Values(
        Case{"nme: gw-a",
             "11: gateway.nme: `nme` is not a known key; expected name, identity, listen, data_plane, "
             "workers, on_exit, control_socket, "
             "control_group, state_dir, half_open, metrics, capture, diffie_hellman or updown; did you mean "
             "`name`?"},
        Case{"exit: keep",
             "11: gateway.exit: `exit` is not a known key; expected name, identity, listen, data_plane, "
             "workers, on_exit, control_socket, control_group, state_dir, half_open, metrics, capture, "
             "diffie_hellman or updown"},
        Case{"workers: 65",
             "20: gateway.workers: `65` is out of range; expected auto, or a number of threads from 1 to 64"},
        Case{"workers: 0",
             "20: gateway.workers: `0` is out of range; expected auto, or a number of threads from 1 to 64"},
        Case{"workers: many",
             "20: gateway.workers: `many` is not a whole number; expected auto, or a number of threads from "
             "1 to 64"},
        Case{"data_plane: kernel, workers: 2",
             "40: gateway.workers: `data_plane: kernel` carries everything in the kernel, without workers; "
             "expected auto, or `data_plane: software`"},
        Case{"capture: yes", "20: gateway.capture: `yes` is not known here; expected off, packets or keys"},
        Case{"diffie_hellman: fast",
             "27: gateway.diffie_hellman: `fast` is not known here; expected batched or single"},
        Case{"on_exit: stay", "20: gateway.on_exit: `stay` is not known here; expected delete or keep"},
        Case{"data_plane: software, on_exit: keep",
             "42: gateway.on_exit: the software data plane's SAs end with oakgated; expected delete, or "
             "`data_plane: kernel`, whose SAs can stay"},
        Case{"name: ", "11: gateway.name: has no value; expected this gateway's name"},
        Case{"name: \"\"", "17: gateway.name: the text is empty; expected this gateway's name"},
        Case{"name: [a]", "11: gateway.name: is a list; expected this gateway's name"},
        Case{"name: {a: b}", "11: gateway.name: is a map; expected this gateway's name"},
        Case{"name: No",
             "17: gateway.name: `No` is a boolean to other readers of YAML; expected this gateway's name, in "
             "quotes if "
             "the very word is meant"},
        Case{"name: a b",
             "17: gateway.name: `a b` cannot be a name; expected a letter or digit, then letters, digits, "
             "`.`, `_` and "
             "`-`, at most 64"},
        Case{"identity: dm",
             "21: gateway.identity: `dm` is not an identity; expected address, an IP address, hostname:NAME, "
             "user-fqdn:USER@HOST, dn or dn:NAME"},
        Case{"listen: []",
             "11: gateway.listen: the list is empty; expected a list of this machine's addresses; leave "
             "`listen` out "
             "for all of them"},
        Case{"listen: [192.0.2.1, 192.0.2.1]",
             "31: gateway.listen: `192.0.2.1` is listed twice; expected each address once"},
        Case{"listen: 0.0.0.0",
             "19: gateway.listen: `0.0.0.0` means every address; expected the address of one host"},
        Case{"listen: [2001:db8::]",
             "20: gateway.listen: YAML reads the IPv6 address `2001:db8::` as a map; expected quotes around "
             "it: "
             "\"2001:db8::\""},
        Case{"data_plane: kernal",
             "23: gateway.data_plane: `kernal` is not known here; expected auto, kernel or software; did you "
             "mean "
             "`kernel`?"},
        Case{"data_plane: yes",
             "23: gateway.data_plane: `yes` is not known here; expected auto, kernel or software"},
        Case{"control_socket: /" + std::string(107, 'x'),
             "27: gateway.control_socket: `/" + std::string(79, 'x') +
                 "...` is too long for a socket; expected at most 107 bytes (unix(7))"},
        Case{
            "control_group: 4net",
            "26: gateway.control_group: `4net` cannot be the name of a group; expected a letter or `_`, then "
            "letters, digits, `_`, `.` and `-`, at most 32"},
        Case{"control_group: net:ops",
             "26: gateway.control_group: `net:ops` cannot be the name of a group; expected a letter or `_`, "
             "then letters, digits, `_`, `.` and `-`, at most 32"},
        Case{
            "metrics: 192.0.2.1:9814",
            "20: gateway.metrics: `192.0.2.1` is not a loopback address: metrics tell names and amounts to "
            "everybody who can reach them; expected 127.0.0.1:PORT, \"[::1]:PORT\" or unix:PATH; a proxy can "
            "do authentication and TLS before it"},
        Case{
            "metrics: 0.0.0.0:9814",
            "20: gateway.metrics: `0.0.0.0` is not a loopback address: metrics tell names and amounts to "
            "everybody who can reach them; expected 127.0.0.1:PORT, \"[::1]:PORT\" or unix:PATH; a proxy can "
            "do authentication and TLS before it"},
        Case{
            "metrics: 9814",
            "20: gateway.metrics: `9814` is neither; expected unix:PATH, or a loopback address and port like "
            "127.0.0.1:9814"},
        Case{"metrics: \"::1:9814\"",
             "20: gateway.metrics: `::1:9814` is neither; expected unix:PATH, or a loopback address and port "
             "like 127.0.0.1:9814"},
        Case{"metrics: \"[127.0.0.1]:9814\"",
             "20: gateway.metrics: `[127.0.0.1]:9814` is neither; expected unix:PATH, or a loopback address "
             "and port like 127.0.0.1:9814"},
        Case{"metrics: 127.0.0.1:0",
             "20: gateway.metrics: `0` is out of range; expected a number from 1 to 65535"},
        Case{"metrics: \"unix:\"", "20: gateway.metrics: `unix:` names no file; expected unix:PATH"},
        Case{"metrics: unix:/run/oakgate/control.sock",
             "20: gateway.metrics: `/run/oakgate/control.sock` is the control socket; expected another path"},
        Case{"metrics: unix:/" + std::string(107, 'x'),
             "20: gateway.metrics: `/" + std::string(79, 'x') +
                 "...` is too long for a socket; expected at most 107 bytes (unix(7))"},
        Case{"metrics: [a]",
             "11: gateway.metrics: is a list; expected unix:PATH, or a loopback address and port like "
             "127.0.0.1:9814"},
        Case{"state_dir: []", "11: gateway.state_dir: is a list; expected a path"}));

}  // namespace
}  // namespace oakgate::conf
