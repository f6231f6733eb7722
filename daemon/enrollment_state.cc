#include "daemon/enrollment_state.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "ike/base/printable.h"
#include "pki/files.h"

namespace oakgate {

namespace {

using Json = nlohmann::ordered_json;
using pki::scep::Transaction;

constexpr int kFileVersion = 1;
constexpr std::size_t kMaxTransactions = 2;
constexpr std::size_t kMaxTransactionId = 64;
constexpr int kMaxPolls = 1'000'000'000;
constexpr std::int64_t kMaxTime = 253402300799;  // the end of the year 9999

std::int64_t seconds(WallTime time) {
  return time.time_since_epoch().count();
}

tl::unexpected<Error> not_ours(const std::string& why) {
  return fail(ErrorCode::malformed, "the file is no record of an enrolment: " + why,
              "a file that oakgate wrote", "Remove it, and request the certificate anew.");
}

std::optional<std::string> text_member(const Json& json, const char* name, std::size_t max) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_string()) return std::nullopt;
  auto text = member->get<std::string>();
  if (text.size() > max) return std::nullopt;
  return text;
}

std::optional<Bytes> hex_member(const Json& json, const char* name) {
  const auto text = text_member(json, name, 2 * pki::kMaxCertificateBytes);
  return text ? from_hex(*text) : std::nullopt;
}

std::optional<std::int64_t> number_member(const Json& json, const char* name, std::int64_t max) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_number_integer()) return std::nullopt;
  const auto value = member->get<std::int64_t>();
  if (value < 0 || value > max) return std::nullopt;
  return value;
}

std::optional<bool> flag_member(const Json& json, const char* name) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_boolean()) return std::nullopt;
  return member->get<bool>();
}

std::optional<Transaction> read_transaction(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto id = text_member(json, "transaction", kMaxTransactionId);
  const auto key = text_member(json, "key", 16);
  const auto renewal = flag_member(json, "renewal");
  const auto subject = hex_member(json, "subject");
  const auto signer = hex_member(json, "signer");
  const auto fingerprint = text_member(json, "fingerprint", 64);
  const auto started = number_member(json, "started", kMaxTime);
  const auto polls = number_member(json, "polls", kMaxPolls);
  const auto next_poll = number_member(json, "next_poll", kMaxTime);
  if (!id || !key || !renewal || !subject || !signer || !fingerprint || !started || !polls || !next_poll) {
    return std::nullopt;
  }
  Transaction out;
  out.id = *id;
  out.renewal = *renewal;
  out.encryption_key = *key == "encryption";
  out.subject = *subject;
  out.signer = *signer;
  out.fingerprint = *fingerprint;
  out.started = WallTime(Seconds(*started));
  out.polls = static_cast<int>(*polls);
  out.next_poll = WallTime(Seconds(*next_poll));
  return out;
}

Result<void> write(const std::string& state_dir, std::string_view trustpoint, const Transactions& all) {
  const auto path = enrollment_file(state_dir, trustpoint);
  if (!path) return fail(path.error());
  if (!all.empty()) return pki::write_file(*path, as_bytes(transactions_text(all)), pki::kSecretMode);
  if (::unlink(path->c_str()) == 0 || errno == ENOENT) return {};
  return fail(ErrorCode::internal, fmt::format("cannot remove {}: {}", *path, std::strerror(errno)));
}

template <typename Change>
Result<void> change(const std::string& state_dir, std::string_view trustpoint, Change change_them) {
  auto all = read_transactions(state_dir, trustpoint);
  if (!all) return fail(all.error());
  if (!change_them(*all)) return {};
  return write(state_dir, trustpoint, *all);
}

}  // namespace

Result<std::string> enrollment_file(const std::string& state_dir, std::string_view trustpoint) {
  if (trustpoint.empty() || trustpoint.front() == '.' || trustpoint.size() > 200 ||
      trustpoint.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return fail(ErrorCode::configuration,
                "trustpoint " + printable(trustpoint) + " cannot be enrolled: its name cannot be a file's",
                "a name without slashes that does not begin with a dot");
  }
  return fmt::format("{}/scep/{}.json", state_dir, trustpoint);
}

std::string transactions_text(const Transactions& transactions) {
  Json list = Json::array();
  for (const Transaction& transaction : transactions) {
    list.push_back({{"transaction", transaction.id},
                    {"key", transaction.encryption_key ? "encryption" : "own"},
                    {"renewal", transaction.renewal},
                    {"started", seconds(transaction.started)},
                    {"polls", transaction.polls},
                    {"next_poll", seconds(transaction.next_poll)},
                    {"fingerprint", transaction.fingerprint},
                    {"subject", to_hex(transaction.subject)},
                    {"signer", to_hex(transaction.signer)}});
  }
  const Json file{{"version", kFileVersion}, {"transactions", std::move(list)}};
  return file.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Transactions> parse_transactions(std::string_view text) {
  if (text.size() > kMaxEnrollmentFile) return not_ours("it is too long");
  const Json file = Json::parse(text, nullptr, false);
  if (!file.is_object() || number_member(file, "version", kFileVersion) != kFileVersion) {
    return not_ours("no JSON of version 1");
  }
  const auto list = file.find("transactions");
  if (list == file.end() || !list->is_array() || list->size() > kMaxTransactions) {
    return not_ours("it lists no transactions");
  }
  Transactions out;
  for (const Json& entry : *list) {
    auto transaction = read_transaction(entry);
    if (!transaction) return not_ours("a transaction lacks something");
    out.push_back(std::move(*transaction));
  }
  return out;
}

Result<Transactions> read_transactions(const std::string& state_dir, std::string_view trustpoint) {
  const auto path = enrollment_file(state_dir, trustpoint);
  if (!path) return fail(path.error());
  const auto content = pki::read_file(*path, kMaxEnrollmentFile);
  if (!content && content.error().code == ErrorCode::not_found) return Transactions{};
  if (!content) return fail(content.error());
  auto parsed = parse_transactions({reinterpret_cast<const char*>(content->data()), content->size()});
  if (parsed) return parsed;
  Error error = parsed.error();
  error.text = *path + ": " + error.text;
  return fail(std::move(error));
}

Result<void> save_transaction(const std::string& state_dir, std::string_view trustpoint,
                              const Transaction& transaction) {
  // A broken file is no reason to refuse: it is replaced.
  Transactions all = read_transactions(state_dir, trustpoint).value_or(Transactions{});
  std::erase_if(all,
                [&](const Transaction& other) { return other.encryption_key == transaction.encryption_key; });
  all.push_back(transaction);
  return write(state_dir, trustpoint, all);
}

Result<void> update_transaction(const std::string& state_dir, std::string_view trustpoint,
                                const Transaction& transaction) {
  return change(state_dir, trustpoint, [&](Transactions& all) {
    const auto same = std::find_if(all.begin(), all.end(),
                                   [&](const Transaction& other) { return other.id == transaction.id; });
    if (same == all.end()) return false;
    *same = transaction;
    return true;
  });
}

Result<void> remove_transaction(const std::string& state_dir, std::string_view trustpoint,
                                const std::string& id) {
  return change(state_dir, trustpoint, [&](Transactions& all) {
    return std::erase_if(all, [&](const Transaction& other) { return other.id == id; }) > 0;
  });
}

}  // namespace oakgate
