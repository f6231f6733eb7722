// `oakgate pki authenticate`: the authority's certificates, compared by a person or with a fingerprint that
// came another way. What is accepted is the chain of the one that issues, up to the one that was compared.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/cli/pki.h"
#include "daemon/cli/scep.h"
#include "daemon/enrollment_files.h"
#include "daemon/system_rng.h"
#include "daemon/text.h"
#include "pki/scep/client.h"

namespace oakgate::cli {

namespace {

using pki::Certificate;

struct DigestRow {
  const char* name;   // OpenSSL's
  const char* label;  // IOS's, and in JSON
  std::size_t bytes;
};
constexpr DigestRow kDigests[] = {{"md5", "MD5", 16}, {"sha1", "SHA1", 20}, {"sha256", "SHA256", 32}};

Json certificate_json(const Certificate& certificate) {
  Json json{{"subject", certificate.subject_text()},
            {"issuer", certificate.issuer_text()},
            {"serial", certificate.serial()},
            {"not_before", iso_time(certificate.not_before())},
            {"not_after", iso_time(certificate.not_after())}};
  for (const DigestRow& row : kDigests) json["fingerprints"][row.name] = certificate.fingerprint(row.name);
  return json;
}

std::string certificate_text(const Certificate& certificate) {
  std::string text = fmt::format("Certificate has the following attributes:\n       Subject: {}\n",
                                 certificate.subject_text());
  for (const DigestRow& row : kDigests) {
    text += fmt::format("{:>19}: {}\n", std::string("Fingerprint ") + row.label,
                        grouped_fingerprint(certificate.fingerprint(row.name)));
  }
  return text;
}

// The one that issues, its issuer, ... as far as the answer goes.
std::vector<Certificate> chain_of(const std::vector<Certificate>& cas) {
  std::vector<Certificate> chain = pki::order_chain(cas.front(), cas);
  if (chain.back().self_signed()) return chain;
  for (const Certificate& ca : cas) {
    if (ca.self_signed() && ca.subject() == chain.back().issuer()) {
      chain.push_back(ca);
      break;
    }
  }
  return chain;
}

Failure wrong_fingerprint(const std::string& text, const std::vector<Certificate>& chain) {
  Failure failure{Exit::failed,
                  std::string(to_string(ErrorCode::certificate_invalid)),
                  text,
                  "the fingerprint that the authority's operator tells",
                  "Compare by telephone; if they differ, somebody answers in the authority's place.",
                  nullptr};
  failure.more = Json{{"certificates", Json::array()}};
  for (const Certificate& certificate : chain) {
    failure.more["certificates"].push_back(certificate_json(certificate));
  }
  return failure;
}

Outcome<std::size_t> match_fingerprint(const std::string& given, const std::vector<Certificate>& chain) {
  std::string digits = given;
  std::replace(digits.begin(), digits.end(), ':', ' ');
  const auto wanted = from_hex(digits);
  const auto row = std::find_if(std::begin(kDigests), std::end(kDigests), [&](const DigestRow& digest) {
    return wanted && wanted->size() == digest.bytes;
  });
  if (row == std::end(kDigests)) {
    return tl::unexpected(Failure{Exit::usage, "usage", "--fingerprint is no fingerprint",
                                  "MD5, SHA1 or SHA256 in hexadecimal: 32, 40 or 64 digits", "", nullptr});
  }
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (from_hex(chain[i].fingerprint(row->name)) == wanted) return i;
  }
  return tl::unexpected(wrong_fingerprint(
      fmt::format("the certificate that came has another fingerprint: {} {}, of {}", row->label,
                  grouped_fingerprint(chain.back().fingerprint(row->name)), chain.back().subject_text()),
      chain));
}

// How many of the chain are accepted.
Outcome<std::size_t> accept(const ScepContext& context, const std::vector<Certificate>& chain,
                            Confirm confirm) {
  const bool quiet = context.arguments.json;
  const std::string& given = context.arguments.scep.fingerprint;
  if (!given.empty()) {
    const auto index = match_fingerprint(given, chain);
    if (!index) return tl::unexpected(index.error());
    if (!quiet) fmt::print("{}", certificate_text(chain[*index]));
    return *index + 1;
  }
  if (!quiet) fmt::print("{}", certificate_text(chain.back()));
  if (confirm == nullptr) {
    Failure failure = wrong_fingerprint("there is nobody to compare the fingerprint", chain);
    failure.exit = Exit::usage;
    failure.code = "usage";
    failure.expected = "--fingerprint HEX, or a terminal";
    failure.remedy = "Ask the authority's operator for it.";
    return tl::unexpected(std::move(failure));
  }
  if (confirm("% Do you accept this certificate?")) return chain.size();
  return tl::unexpected(Failure{Exit::failed, std::string(to_string(ErrorCode::cancelled)),
                                "the certificate was not accepted", "", "", nullptr});
}

}  // namespace

Outcome<Json> authenticate(const ScepContext& context, Confirm confirm) {
  const TrustpointConfig& trustpoint = context.trustpoint;
  if (trustpoint.ca.size() != 1) {
    return tl::unexpected(failure_of(
        {ErrorCode::configuration,
         fmt::format("trustpoint {} names {} files of its authority", trustpoint.name, trustpoint.ca.size()),
         "one, which takes all its certificates",
         fmt::format("Name one file in `trustpoints.{}.ca`.", trustpoint.name),
         {}}));
  }
  auto rng = SystemRng::create();
  if (!rng) return tl::unexpected(failure_of(rng.error()));
  const std::vector<Certificate> none;
  const auto received = pki::scep::Client(context.fetcher, *rng, trustpoint, none).get_ca();
  if (!received) return tl::unexpected(failure_of(received.error()));
  std::vector<Certificate> chain = chain_of(received->cas);
  const auto accepted = accept(context, chain, confirm);
  if (!accepted) return tl::unexpected(accepted.error());
  chain.erase(chain.begin() + static_cast<std::ptrdiff_t>(*accepted), chain.end());
  if (const auto written = write_certificates(trustpoint.ca.front(), chain); !written) {
    return tl::unexpected(failure_of(written.error()));
  }
  const auto answer = tell_daemon(context.arguments, context.config);
  const bool told = answer && *answer;
  if (!context.arguments.json) {
    fmt::print("Trustpoint CA certificate accepted.\n{} written{}\n", trustpoint.ca.front(),
               told ? "; oakgated has read it" : "");
  }
  Json result{{"version", kControlVersion},
              {"trustpoint", trustpoint.name},
              {"file", trustpoint.ca.front()},
              {"daemon_told", told},
              {"certificates", Json::array()}};
  for (const Certificate& certificate : chain) {
    result["certificates"].push_back(certificate_json(certificate));
  }
  return result;
}

}  // namespace oakgate::cli
