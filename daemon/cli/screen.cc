#include "daemon/cli/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr std::string_view kGreen = "\033[32m";
constexpr std::string_view kYellow = "\033[33m";
constexpr std::string_view kRed = "\033[31m";
constexpr std::string_view kPlain = "\033[0m";
constexpr std::string_view kHome = "\033[H";
constexpr std::string_view kEraseLine = "\033[K";   // the rest of it
constexpr std::string_view kEraseBelow = "\033[J";  // and the rest of this one

// A certificate that ends this soon is told of, as a waiver is.
constexpr std::chrono::days kCertificateNotice{30};

class Screen {
 public:
  Screen(WallTime now, const ScreenStyle& style) : now_(now), style_(style) {}

  void line(std::string text) {
    if (text.size() > style_.width) text = text.substr(0, style_.width - 3) + "...";
    out_ += text + "\n";
  }
  // Parts behind one another, separated by ", ", on as many lines as they need.
  void parts(std::size_t indent, const std::vector<std::string>& parts) {
    std::string text(indent, ' ');
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string part = parts[i] + (i + 1 < parts.size() ? "," : "");
      if (text.size() > indent && text.size() + part.size() + 1 > style_.width) {
        line(std::move(text));
        text = std::string(indent, ' ');
      }
      text += (text.size() > indent ? " " : "") + part;
    }
    line(std::move(text));
  }
  // Colour must not count as width, so it goes in afterwards: the first `word` of the last line.
  void paint(std::string_view word) {
    if (!style_.colour) return;
    const std::size_t begin = out_.rfind('\n', out_.size() - 2);
    const std::size_t at = out_.find(word, begin == std::string::npos ? 0 : begin);
    if (at == std::string::npos) return;
    const std::string_view colour = word == "down" ? kRed : word == "connecting" ? kYellow : kGreen;
    out_.insert(at + word.size(), kPlain);
    out_.insert(at, colour);
  }
  void blank() { out_ += "\n"; }
  [[nodiscard]] WallTime now() const { return now_; }

  // "for 2 h 5 min", or nothing.
  [[nodiscard]] std::string since(const Json& time) const {
    if (!time.is_string()) return {};
    const auto at = parse_iso_time(time.get<std::string>());
    return at ? " for " + duration_text(now_ - *at) : std::string();
  }
  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  WallTime now_;
  ScreenStyle style_;
  std::string out_;
};

std::string in_seconds(const Json& seconds) {
  return duration_text(Seconds(seconds.get<std::int64_t>()));
}

void show_error(Screen& screen, std::size_t indent, const Json& error) {
  if (!error.is_object()) return;
  screen.line(std::string(indent, ' ') +
              fmt::format("last error: {}: {}", error.value("code", ""), error.value("text", "")));
  const std::string remedy = error.value("remedy", "");
  if (!remedy.empty()) screen.line(std::string(indent, ' ') + "to mend it: " + remedy);
}

// A waiver that ends soon, or did.
bool wants_notice(const Json& of) {
  const auto found = of.find("allow_weak");
  return found != of.end() && found->is_object() && found->value("state", "") != "in-force";
}

void show_waiver(Screen& screen, const Json& of) {
  if (!wants_notice(of)) return;
  const auto found = of.find("allow_weak");
  std::string words;
  for (const Json& word : (*found)["algorithms"])
    words += (words.empty() ? "" : ", ") + word.get<std::string>();
  const auto days = found->value("days_left", 0);
  const std::string when = found->value("state", "") == "ended" ? "ended"
                           : days == 0                          ? "ends today"
                                       : fmt::format("ends in {} day{}", days, days == 1 ? "" : "s");
  std::vector<std::string> parts{fmt::format("allow_weak ({}) {}", words, when),
                                 "on " + found->value("until", "")};
  const std::string reason = found->value("reason", "");
  if (!reason.empty()) parts.push_back("its reason: " + reason);
  screen.parts(2, parts);
}

// "ends in 12 days, on 2026-12-02", from 30 days before; nothing of one that lasts longer.
std::optional<std::string> end_of_certificate(const Screen& screen, const Json& certificate) {
  const std::string text = certificate.is_object() ? certificate.value("not_after", "") : "";
  const auto end = parse_iso_time(text);
  if (!end || *end - screen.now() > kCertificateNotice) return std::nullopt;
  const std::string on = ", on " + text.substr(0, 10);
  if (*end <= screen.now()) return "ended" + on;
  return "ends in " + duration_text(*end - screen.now()) + on;
}

// Who renews: we do when we have set a time for it; without one the SA ends, unless the peer renews it.
std::string renewal(const Json& sa) {
  if (sa.contains("rekey_in_s") && sa["rekey_in_s"].is_number())
    return "we rekey in " + in_seconds(sa["rekey_in_s"]);
  if (!sa.contains("expires_in_s") || !sa["expires_in_s"].is_number()) return {};
  return "ends in " + in_seconds(sa["expires_in_s"]) + " unless the peer rekeys";
}

void show_sa(Screen& screen, const Json& sa) {
  std::vector<std::string> parts{"in " + bytes_text(sa.value("bytes_in", std::uint64_t{0})),
                                 "out " + bytes_text(sa.value("bytes_out", std::uint64_t{0}))};
  if (std::string when = renewal(sa); !when.empty()) parts.push_back(std::move(when));
  screen.parts(6, {sa.value("algorithms", "")});
  screen.parts(6, parts);
}

void show_pair(Screen& screen, const Json& tunnel, const Json& pair) {
  const std::string_view by = pair.value("narrowed", false) ? "  (narrowed by the peer)" : "";
  screen.line(fmt::format("    {} === {}{}", pair.value("local", ""), pair.value("remote", ""), by));
  for (const Json& sa : tunnel["sas"]) {
    const bool here = sa["local"] == pair["local"] && sa["remote"] == pair["remote"];
    if (here && sa["role"] == "current") show_sa(screen, sa);
  }
}

// Who begins it.
std::string start_text(const std::string& start) {
  if (start == "responder") return "waits for the peer";
  return start == "on-traffic" ? "starts with the first packet" : "starts by itself";
}

void show_tunnel(Screen& screen, const Json& tunnel, const Json& peer_error, const Rate* rate) {
  const std::string state = tunnel.value("state", "down");
  std::string text = "  " + tunnel.value("name", "") + "  " + state;
  if (state == "up") text += screen.since(tunnel["since"]);
  if (state == "down" && tunnel["retry_in_s"].is_number()) {
    text += ", tries again in " + in_seconds(tunnel["retry_in_s"]);
  } else if (state == "down") {
    text += ", " + start_text(tunnel.value("start", ""));
  }
  screen.line(text);
  screen.paint(state);
  const Json& error = tunnel["last_error"];
  // What the peer's line has said already is not said again for each of its tunnels.
  const bool said = error.is_object() && peer_error.is_object() && error["text"] == peer_error["text"];
  if (!said) show_error(screen, 4, error);
  if (rate != nullptr && state == "up")
    screen.line(fmt::format("    now in {}/s, out {}/s", bytes_text(rate->in), bytes_text(rate->out)));
  for (const Json& pair : tunnel["pairs"]) show_pair(screen, tunnel, pair);
}

void show_peer(Screen& screen, const Json& peer, const Rates& rates) {
  const std::string state = peer.value("state", "down");
  const Json& sa = peer["isakmp_sa"];
  std::string text = peer.value("name", "") + "  " + peer.value("address", "") + "  " + state;
  if (sa.is_object()) text += screen.since(sa["established_at"]);
  screen.line(text);
  screen.paint(state);
  if (sa.is_object() && sa["policy"].is_string()) {
    std::vector<std::string> parts{sa.value("policy", ""), sa.value("role", "")};
    if (sa.value("nat", "none") != "none") parts.push_back("NAT: " + sa.value("nat", ""));
    if (std::string when = renewal(sa); !when.empty()) parts.push_back(std::move(when));
    screen.parts(2, parts);
    if (const auto end = end_of_certificate(screen, sa.value("certificate", Json())))
      screen.line("  the peer's certificate " + *end);
  }
  show_waiver(screen, peer);
  show_error(screen, 2, peer["last_error"]);
  for (const Json& tunnel : peer["tunnels"]) {
    const auto rate = rates.find({peer.value("name", ""), tunnel.value("name", "")});
    show_tunnel(screen, tunnel, peer["last_error"], rate == rates.end() ? nullptr : &rate->second);
  }
}

// One command tells the rest of an error, which is a line here.
void show_where_to_look(Screen& screen, const Json& status) {
  std::string peer;
  for (const Json& one : status["peers"]) {
    bool failed = one["last_error"].is_object();
    for (const Json& tunnel : one["tunnels"]) failed = failed || tunnel["last_error"].is_object();
    if (failed) peer = peer.empty() ? one.value("name", "") : "PEER";
  }
  if (peer.empty()) return;
  screen.blank();
  screen.line("why, and what mends it: `oakgate explain " + peer + "`");
}

void show_trustpoints(Screen& screen, const Json& status) {
  for (const Json& trustpoint : status.value("trustpoints", Json::array())) {
    if (!wants_notice(trustpoint)) continue;
    screen.blank();
    screen.line("trustpoint " + trustpoint.value("name", ""));
    show_waiver(screen, trustpoint);
  }
  for (const Json& own : status.value("certificates", Json::array())) {
    const auto end = end_of_certificate(screen, own);
    if (!end) continue;
    screen.blank();
    screen.line("trustpoint " + own.value("trustpoint", ""));
    screen.line("  our certificate " + *end);
    screen.line("  " + own.value("subject", ""));
  }
}

using Bytes2 = std::pair<std::uint64_t, std::uint64_t>;  // in, out

// What each SA of a tunnel has carried, by its SPIs.
std::map<std::string, Bytes2> carried(const Json& tunnel) {
  std::map<std::string, Bytes2> sas;
  for (const Json& sa : tunnel.value("sas", Json::array())) {
    sas[dump(sa.value("in", Json())) + dump(sa.value("out", Json()))] = {
        sa.value("bytes_in", std::uint64_t{0}), sa.value("bytes_out", std::uint64_t{0})};
  }
  return sas;
}

Rate rate_between(const Json& before, const Json& after, Milliseconds between) {
  const std::map<std::string, Bytes2> earlier = carried(before);
  Bytes2 sum{};
  for (const auto& [spis, now] : carried(after)) {
    const auto found = earlier.find(spis);
    const Bytes2 then = found == earlier.end() ? Bytes2{} : found->second;
    // Counters only grow; should one not, nothing is made up.
    sum.first += now.first - std::min(now.first, then.first);
    sum.second += now.second - std::min(now.second, then.second);
  }
  const auto per_second = [&](std::uint64_t bytes) {
    return static_cast<std::uint64_t>(static_cast<double>(bytes) * 1000.0 /
                                      static_cast<double>(between.count()));
  };
  return {per_second(sum.first), per_second(sum.second)};
}

// Every tunnel of an answer, by the names of peer and tunnel.
std::map<std::pair<std::string, std::string>, const Json*> tunnels_of(const Json& status) {
  std::map<std::pair<std::string, std::string>, const Json*> tunnels;
  for (const Json& peer : status["peers"]) {
    for (const Json& tunnel : peer["tunnels"])
      tunnels[{peer.value("name", ""), tunnel.value("name", "")}] = &tunnel;
  }
  return tunnels;
}

// Drawn over what is there, so that nothing flickers; what does not fit is counted, not scrolled away.
std::string drawn_over(const std::string& screen, std::size_t rows) {
  const auto lines = static_cast<std::size_t>(std::count(screen.begin(), screen.end(), '\n'));
  const std::size_t shown = lines < rows ? lines : rows - std::min<std::size_t>(rows, 2);
  std::string out(kHome);
  std::size_t at = 0;
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t end = screen.find('\n', at);
    out.append(screen, at, end - at).append(kEraseLine) += '\n';
    at = end + 1;
  }
  if (shown < lines) out += fmt::format("({} more lines){}\n", lines - shown, kEraseLine);
  return out.append(kEraseBelow);
}

}  // namespace

Rates rates_between(const Json& before, const Json& after, Milliseconds between) {
  Rates rates;
  if (between.count() <= 0) return rates;
  const auto earlier = tunnels_of(before);
  for (const auto& [names, tunnel] : tunnels_of(after)) {
    const auto found = earlier.find(names);
    if (found != earlier.end()) rates[names] = rate_between(*found->second, *tunnel, between);
  }
  return rates;
}

Outcome<void> watch_status(const Watch& watch) {
  std::optional<Json> before;
  Instant asked{};
  do {
    Outcome<Json> status = watch.ask();
    if (!status) return tl::unexpected(status.error());
    const Now now = watch.now();
    const Rates rates = before ? rates_between(*before, *status, now.instant - asked) : Rates();
    const std::string screen = status_screen(*status, now.wall, watch.style(), rates);
    const std::size_t rows = watch.rows();
    watch.print(rows > 0 ? drawn_over(screen, rows) : (before ? "\n" : "") + screen);
    before = std::move(*status);
    asked = now.instant;
  } while (watch.wait());
  return {};
}

std::optional<WallTime> parse_iso_time(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  char zone = 0;
  if (std::sscanf(text.c_str(), "%d-%u-%uT%d:%d:%d%c", &year, &month, &day, &hour, &minute, &second, &zone) !=
          7 ||
      zone != 'Z') {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         Seconds(second);
}

std::string status_screen(const Json& status, WallTime now, const ScreenStyle& style, const Rates& rates) {
  Screen screen(now, style);
  std::size_t up = 0;
  std::size_t all = 0;
  for (const Json& peer : status["peers"]) {
    for (const Json& tunnel : peer["tunnels"]) {
      ++all;
      if (tunnel["state"] == "up") ++up;
    }
  }
  screen.line(fmt::format("{}: {} of {} tunnel{} up, data plane {}", status.value("gateway", ""), up, all,
                          all == 1 ? "" : "s", status.value("data_plane", "")));
  if (status.contains("confirm_within_s")) {
    screen.line(fmt::format("the last reload is undone in {} s: `oakgate confirm` keeps it",
                            status["confirm_within_s"].get<std::int64_t>()));
  }
  for (const Json& peer : status["peers"]) {
    screen.blank();
    show_peer(screen, peer, rates);
  }
  show_trustpoints(screen, status);
  show_where_to_look(screen, status);
  return std::move(screen).take();
}

}  // namespace oakgate::cli
