#include "pki/crl_cache.h"

#include <fmt/format.h>
#include <openssl/pem.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <system_error>

#include "ike/crypto/distinguished_name.h"
#include "pki/files.h"

namespace oakgate::pki {
namespace {

// A file is lines of "word: value", then the CRL as PEM: `openssl crl -in FILE -text` prints it.
constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::size_t kMaxFileBytes = kMaxCrlBytes + kMaxCrlBytes / 2;

std::string to_pem(const Crl& crl) {
  const MemoryBio out(BIO_new(BIO_s_mem()));
  const Bytes& der = crl.der();
  if (out == nullptr ||
      PEM_write_bio(out.get(), PEM_STRING_X509_CRL, "", der.data(), static_cast<long>(der.size())) <= 0) {
    crypto::drop_openssl_errors();
    return {};
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
}

const char* yes_or_no(bool yes) {
  return yes ? "yes" : "no";
}

std::string file_text(const CrlCache::Item& item) {
  return fmt::format("signer: {}\nsource: {}\nscep: {}\nconfigured: {}\ntrustpoint: {}\n{}",
                     to_hex(item.signer), item.source.url,
                     yes_or_no(item.source.kind == RevocationSource::Kind::scep),
                     yes_or_no(item.source.configured), item.source.trustpoint, to_pem(item.crl));
}

std::map<std::string, std::string, std::less<>> read_head(std::string_view head) {
  std::map<std::string, std::string, std::less<>> out;
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find('\n'));
    head.remove_prefix(std::min(head.size(), line.size() + 1));
    if (const std::size_t colon = line.find(": "); colon != std::string_view::npos) {
      out.emplace(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  return out;
}

Result<CrlCache::Item> read_item(const std::filesystem::path& path) {
  const auto file = read_file(path, kMaxFileBytes);
  if (!file) return tl::unexpected(file.error());
  const std::string_view text(reinterpret_cast<const char*>(file->data()), file->size());
  const auto head = read_head(text.substr(0, text.find(kBegin)));
  const auto value = [&head](std::string_view word) {
    const auto found = head.find(word);
    return found == head.end() ? std::string() : found->second;
  };
  auto signer = from_hex(value("signer"));
  auto crl = Crl::parse(*file);
  if (!crl || !signer || signer->empty()) {
    return fail(ErrorCode::crl_invalid,
                path.string() + " is no CRL of the cache: " + (crl ? "it names no signer" : crl.error().text),
                {}, "Remove the file; what it held is fetched again.");
  }
  CrlCache::Item item{std::move(*crl), std::move(*signer), {}, true};
  item.source.url = value("source");
  if (value("scep") == "yes") item.source.kind = RevocationSource::Kind::scep;
  item.source.configured = value("configured") == "yes";
  item.source.trustpoint = value("trustpoint");
  return item;
}

bool same_place(const CrlCache::Item& a, const CrlCache::Item& b) {
  return a.signer == b.signer && a.crl.scope() == b.crl.scope() &&
         crypto::same_name(a.crl.issuer(), b.crl.issuer());
}

}  // namespace

std::filesystem::path CrlCache::path_of(const Item& item) const {
  Bytes place = item.crl.issuer();
  for (const Bytes& part : {item.signer, item.crl.scope()}) {
    const Bytes sum = digest("SHA256", part);
    place.insert(place.end(), sum.begin(), sum.end());
  }
  return folder_ / (to_hex(digest("SHA256", place)).substr(0, 40) + ".crl");
}

std::vector<Error> CrlCache::load() {
  std::vector<Error> errors;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() != ".crl") continue;
    auto item = read_item(entry.path());
    if (!item) {
      errors.push_back(std::move(item.error()));
      continue;
    }
    const std::lock_guard lock(mutex_);
    insert(std::move(*item));
  }
  return errors;
}

bool CrlCache::put(Item item) {
  // Held while it writes: of two lists for one place the newer has to be the last on disk as well.
  const std::lock_guard lock(mutex_);
  item.on_disk = false;
  if (!insert(item)) return false;
  if (folder_.empty() || !write_file(path_of(item), as_bytes(file_text(item)), kPublicMode)) return true;
  for (Item& kept : items_) kept.on_disk = kept.on_disk || same_place(kept, item);
  return true;
}

bool CrlCache::insert(Item item) {
  for (Item& kept : items_) {
    if (!same_place(kept, item)) continue;
    if (!item.crl.newer_than(kept.crl)) return false;
    if (item.source.url.empty()) item.source = kept.source;  // where the next one may be had is not forgotten
    kept = std::move(item);
    return true;
  }
  items_.push_back(std::move(item));
  make_room();
  return true;
}

void CrlCache::make_room() {
  const auto bytes = [this] {
    std::size_t sum = 0;
    for (const Item& item : items_) sum += item.crl.der().size();
    return sum;
  };
  while (items_.size() > 1 && (items_.size() > kMaxCachedCrls || bytes() > kMaxCachedBytes)) {
    const auto first = std::min_element(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      return a.crl.next_update() < b.crl.next_update();
    });
    std::error_code error;
    if (first->on_disk) std::filesystem::remove(path_of(*first), error);
    items_.erase(first);
  }
}

std::vector<Crl> CrlCache::of_issuer(ByteView name) const {
  std::vector<Crl> out;
  const std::lock_guard lock(mutex_);
  for (const Item& item : items_) {
    if (crypto::same_name(item.crl.issuer(), name)) out.push_back(item.crl);
  }
  return out;
}

std::vector<CrlCache::Item> CrlCache::all() const {
  const std::lock_guard lock(mutex_);
  return items_;
}

}  // namespace oakgate::pki
