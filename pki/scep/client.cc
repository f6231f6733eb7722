#include "pki/scep/client.h"

#include <openssl/evp.h>

#include <algorithm>

namespace oakgate::pki::scep {

namespace {

constexpr std::string_view kDefaultPath = "/cgi-bin/pkiclient.exe";

// RFC 3986 section 2.3: what need not be escaped.
bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string escape(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

std::string base64(ByteView data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data.data(),
                                   static_cast<int>(data.size()));
  out.resize(static_cast<std::size_t>(std::max(size, 0)));
  return out;
}

FetchRequest get_request(std::string url, std::size_t max_bytes) {
  FetchRequest request;
  request.url = std::move(url);
  request.max_bytes = max_bytes;
  request.configured = true;  // the operator wrote `enrollment.url`
  return request;
}

// draft-nourse-scep-22 section 2.3 and RFC 8894 section 2.3: a server that knows renewals is asked with the
// old certificate; only RFC 8894's has a message type of its own for it.
MessageType request_type(const Capabilities& server, bool renewal) {
  return renewal && server.standard ? MessageType::renewal_req : MessageType::pkcs_req;
}

Error refusal(const std::string& reason) {
  return Error{ErrorCode::enrollment_failed,
               "the certification authority refused the request: " + reason,
               "pkiStatus SUCCESS",
               "Ask the authority's operator; the challenge password may be wrong, or a certificate of that "
               "name be there already.",
               {}};
}

std::string request_fingerprint(const SecretBytes& request) {
  std::string out = to_hex(pki::digest("MD5", request.view()));
  for (char& c : out) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

}  // namespace

std::string operation_url(std::string_view base, std::string_view operation, std::string_view message) {
  std::string url(base);
  const std::size_t host = url.find("://");
  const std::size_t path = host == std::string::npos ? std::string::npos : url.find_first_of("/?", host + 3);
  if (path == std::string::npos) {
    url += kDefaultPath;
  } else if (url.substr(path) == "/") {
    url.replace(path, 1, kDefaultPath);
  }
  url += url.find('?') == std::string::npos ? "?" : "&";
  url += "operation=" + std::string(operation);
  if (!message.empty()) url += "&message=" + escape(message);
  return url;
}

Nonce Client::nonce() {
  Nonce out{};
  rng_.fill(out);
  return out;
}

Result<AuthorityCertificates> Client::get_ca() const {
  // The old drafts have the message say which CA; IOS sends the trustpoint's name.
  const auto answer = fetcher_.fetch(get_request(
      operation_url(trustpoint_.enrollment->url, "GetCACert", trustpoint_.name), kMaxAuthorityBytes));
  if (!answer) return fail(answer.error());
  return parse_authority(answer->body);
}

Result<Client::Session> Client::open(WallTime now) const {
  const Allowance allowance{trustpoint_.name, trustpoint_.allow_weak, now};
  // RFC 8894 section 3.5.2: "A client that receives an empty message or an HTTP error SHOULD interpret the
  // response as if none of the capabilities listed are supported by the CA."
  const auto words = fetcher_.fetch(get_request(
      operation_url(trustpoint_.enrollment->url, "GetCACaps", trustpoint_.name), kMaxCapabilityBytes));
  const Capabilities server = words ? parse_capabilities(words->body) : Capabilities{};
  const auto received = get_ca();
  if (!received) return fail(received.error());
  auto authority = choose_authority(*received, trusted_, trustpoint_.enrollment->mode, now);
  if (!authority) return fail(authority.error());
  const auto algorithms = choose_algorithms(server, allowance);
  if (!algorithms) return fail(algorithms.error());
  return Session{server, *algorithms, std::move(*authority), allowance};
}

Result<Reply> Client::exchange(const Session& session, const Message& message) const {
  auto der = make_message(message.head, message.content, session.authority.recipient, message.signer,
                          message.key, session.algorithms);
  if (!der) return fail(der.error());
  // RFC 8894 section 4.1: "If the remote CA supports POST, the CMS-encoded SCEP messages MUST be sent via
  // HTTP POST instead of HTTP GET."
  const bool post = session.server.post || session.server.standard;
  FetchRequest request = get_request(
      operation_url(trustpoint_.enrollment->url, "PKIOperation", post ? std::string() : base64(*der)),
      message.max_reply);
  if (post) {
    request.body = std::move(*der);
    request.body_type = "application/x-pki-message";
  }
  const auto answer = fetcher_.fetch(request);
  if (!answer) return fail(answer.error());
  const Expected expected{message.head.transaction, message.head.nonce, session.authority.signers,
                          message.signer,           message.key,        session.allowance,
                          message.max_reply};
  return read_reply(answer->body, expected);
}

Result<Answer> Client::conclude(const Session& session, Transaction transaction, const Reply& reply,
                                const crypto::PrivateKey& key, WallTime now) const {
  if (reply.status == Status::pending) return Answer{std::move(transaction), {}, {}};
  if (reply.status == Status::failure) return Answer{std::move(transaction), {}, refusal(reply.reason)};
  auto granted = read_granted(reply.content, key.public_key(), session.authority, now);
  if (!granted) return fail(granted.error());
  return Answer{std::move(transaction), std::move(*granted), {}};
}

Result<Answer> Client::enroll(const EnrollmentRequest& request, WallTime now) {
  const auto session = open(now);
  if (!session) return fail(session.error());
  Transaction transaction;
  Nonce id{};
  rng_.fill(id);
  transaction.id = to_hex(id);
  transaction.encryption_key = request.encryption_key;
  transaction.subject = request.content.subject;
  transaction.started = now;
  transaction.next_poll = now + trustpoint_.enrollment->retry_period;
  transaction.renewal = request.renews && (session->server.renewal || session->server.standard);
  const MessageDigest digest = session->algorithms.digest;
  auto signer = transaction.renewal
                    ? Result<Certificate>(*request.renews)
                    : make_signer(request.content.subject, transaction.id, request.key, digest, now);
  if (!signer) return fail(signer.error());
  transaction.signer = signer->der();
  const auto csr = make_request(request.content, request.key, digest, request.challenge);
  if (!csr) return fail(csr.error());
  transaction.fingerprint = request_fingerprint(*csr);
  const MessageHead head{request_type(session->server, transaction.renewal), transaction.id, nonce()};
  const auto reply = exchange(*session, {head, csr->view(), *signer, request.key});
  if (!reply) return fail(reply.error());
  return conclude(*session, std::move(transaction), *reply, request.key, now);
}

Result<Answer> Client::poll(const Transaction& transaction, const crypto::PrivateKey& key, WallTime now) {
  const auto signer = Certificate::parse(transaction.signer);
  if (!signer) return fail(signer.error());
  if (signer->public_key() != key.public_key()) {
    return fail(
        ErrorCode::enrollment_failed,
        "the key has changed since the certificate of trustpoint " + trustpoint_.name + " was requested",
        "the key that made the request", "Request anew: `oakgate pki enroll " + trustpoint_.name + "`.");
  }
  const auto session = open(now);
  if (!session) return fail(session.error());
  const Bytes content = issuer_and_subject(session->authority.ca.subject(), transaction.subject);
  const MessageHead head{MessageType::cert_poll, transaction.id, nonce()};
  const auto reply = exchange(*session, {head, content, *signer, key});
  if (!reply) return fail(reply.error());
  return conclude(*session, transaction, *reply, key, now);
}

Result<Bytes> Client::get_crl(const Certificate& certificate, const crypto::PrivateKey& key, WallTime now) {
  const auto session = open(now);
  if (!session) return fail(session.error());
  const Bytes content = issuer_and_serial(certificate);
  Nonce id{};
  rng_.fill(id);
  const MessageHead head{MessageType::get_crl, to_hex(id), nonce()};
  const auto reply = exchange(*session, {head, content, certificate, key, kMaxCrlReplyBytes});
  if (!reply) return fail(reply.error());
  if (reply->status == Status::pending) {
    return fail(ErrorCode::crl_unavailable, "the certification authority answers GetCRL with PENDING",
                "a CRL");
  }
  if (reply->status == Status::failure) {
    return fail(ErrorCode::crl_unavailable, "the certification authority refuses GetCRL: " + reply->reason,
                "a CRL",
                "Name a URL or a file in `crl:` of the trustpoint: not every authority knows GetCRL.");
  }
  return read_crl(reply->content);
}

}  // namespace oakgate::pki::scep
