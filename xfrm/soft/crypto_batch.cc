#include "xfrm/soft/crypto_batch.h"

#include <algorithm>

#include "xfrm/soft/packet_batch.h"

namespace oakgate::soft {

namespace {

// A key that is not in the cache costs as much time as three packets.
constexpr std::size_t kAhead = 4;

void prefetch(const EspKeys& keys, std::size_t bytes) {
  if (const auto* gcm = std::get_if<GcmCipher>(&keys.cipher)) gcm->prefetch(bytes);
}

template <typename T>
void grow(std::vector<T>& all, std::size_t size) {
  if (all.size() < size) all.resize(size);
}

}  // namespace

CryptoBatch::CryptoBatch() {
  begin(PacketBatch::kCapacity);
  grow(frames_, PacketBatch::kCapacity);
  const auto make_room = [](auto& lanes) {
    for (auto& lane : lanes) {
      lane.jobs.reserve(PacketBatch::kCapacity);
      lane.owners.reserve(PacketBatch::kCapacity);
    }
  };
  make_room(ciphers_);
  make_room(macs_);
}

void CryptoBatch::begin(std::size_t requests) {
  grow(tags_, requests);
  grow(received_, requests);
  grow(tag_bytes_, requests);
  grow(nonces_, requests);
  grow(done_, requests);
}

void CryptoBatch::crypt(std::size_t request, EspKeys& keys, const EspParts& parts) {
  auto* const held = std::get_if<std::unique_ptr<BlockCipher>>(&keys.cipher);
  BlockCipher* const block = held != nullptr ? held->get() : nullptr;
  if (block == nullptr || !block->together()) {
    done_[request] = static_cast<std::uint8_t>(keys.crypt(parts));
    return;
  }
  const std::uint8_t* iv = parts.iv.data();
  if (keys.kind == EspKind::ctr) {
    keys.write_nonce(parts.iv, nonces_[request]);
    iv = nonces_[request].data();
  }
  done_[request] = static_cast<std::uint8_t>(parts.payload.size() <= kMaxMultiBuffer);
  if (done_[request] == 0) return;
  auto& lane = ciphers_.at(static_cast<std::size_t>(block->together().lane()));
  lane.jobs.push_back({&block->together(), iv, parts.payload});
  lane.owners.push_back({request, block});
}

void CryptoBatch::tag(std::size_t request, IntegrityTag& mac, ByteView data, std::size_t bytes) {
  if (!mac.together()) {
    done_[request] = static_cast<std::uint8_t>(mac.compute(data, std::span(tags_[request]).first(bytes)));
    return;
  }
  done_[request] = static_cast<std::uint8_t>(data.size() <= kMaxMultiBuffer);
  if (done_[request] == 0) return;
  tag_bytes_[request] = static_cast<std::uint8_t>(bytes);
  auto& lane = macs_.at(static_cast<std::size_t>(mac.together().lane()));
  lane.jobs.push_back({&mac.together(), data, tags_[request].data()});
  lane.owners.push_back({request, &mac});
}

// With extended sequence numbers what is covered lies in a buffer that serves one packet.
void CryptoBatch::tag(std::size_t request, AhAuthenticator& ah, ByteView packet, std::uint64_t sequence) {
  if (ah.numbers() == SequenceNumbers::bits_32) {
    tag(request, ah.mac(), packet, ah.icv_bytes());
  } else {
    const auto out = std::span(tags_[request]).first(ah.icv_bytes());
    done_[request] = static_cast<std::uint8_t>(ah.mac().compute(ah.authenticated(packet, sequence), out));
  }
}

void CryptoBatch::run_ciphers() {
  for (auto& lane : ciphers_) {
    if (lane.jobs.empty()) continue;
    if (lane.jobs.size() >= lane.owners.front().key->least()) {
      const bool ok = MultiBufferCipher::run(lane.jobs);
      for (const auto& owner : lane.owners) done_[owner.request] = static_cast<std::uint8_t>(ok);
    } else {
      for (std::size_t i = 0; i < lane.jobs.size(); ++i) {
        const auto& owner = lane.owners[i];
        const ByteView iv(lane.jobs[i].iv, owner.key->iv_bytes());
        done_[owner.request] = static_cast<std::uint8_t>(owner.key->run(iv, lane.jobs[i].data));
      }
    }
    lane.jobs.clear();
    lane.owners.clear();
  }
}

void CryptoBatch::run_tags() {
  for (auto& lane : macs_) {
    if (lane.jobs.empty()) continue;
    if (lane.jobs.size() >= lane.owners.front().key->least()) {
      const bool ok = MultiBufferTag::run(lane.jobs);
      for (const auto& owner : lane.owners) done_[owner.request] = static_cast<std::uint8_t>(ok);
    } else {
      for (std::size_t i = 0; i < lane.jobs.size(); ++i) {
        const auto& owner = lane.owners[i];
        const auto out = std::span(tags_[owner.request]).first(tag_bytes_[owner.request]);
        done_[owner.request] = static_cast<std::uint8_t>(owner.key->compute(lane.jobs[i].data, out));
      }
    }
    lane.jobs.clear();
    lane.owners.clear();
  }
}

void CryptoBatch::prepare(std::size_t request, SealRequest& asked) {
  const EspSealer& sealer = *asked.sealer;
  const EspKeys& keys = sealer.keys();
  asked.sealed = sealer.frame(asked.packet, asked.header, asked.inner_size, asked.next_header);
  if (asked.sealed && keys.aead()) {
    keys.write_nonce(parts_of(sealer.layout(), asked.packet).iv, nonces_[request]);
  }
  // Last: what misses the cache behind it waits until there is room for its line, too.
  prefetch(keys, asked.packet.size());
}

void CryptoBatch::seal(std::span<SealRequest> requests) {
  begin(requests.size());
  bool others = false;
  std::size_t prepared = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (; prepared < std::min(i + kAhead + 1, requests.size()); ++prepared) {
      prepare(prepared, requests[prepared]);
    }
    SealRequest& request = requests[i];
    if (!request.sealed) continue;
    EspKeys& keys = request.sealer->keys();
    const EspLayout& layout = request.sealer->layout();
    if (keys.aead()) {
      request.sealed = keys.seal_aead(layout, request.packet, nonces_[i], request.header.sequence);
    } else {
      others = true;
      crypt(i, keys, parts_of(layout, request.packet));
    }
  }
  if (others) seal_others(requests);
}

void CryptoBatch::seal_others(std::span<SealRequest> requests) {
  run_ciphers();
  // RFC 4303 section 3.3.2.1: encrypt first, then the ICV over everything before it.
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SealRequest& request = requests[i];
    EspKeys& keys = request.sealer->keys();
    if (!request.sealed || keys.aead()) continue;
    request.sealed = done_[i] != 0;
    if (!request.sealed || !keys.integrity) continue;
    const EspLayout& layout = request.sealer->layout();
    tag(i, *keys.integrity, keys.authenticated(parts_of(layout, request.packet), request.header.sequence),
        layout.icv);
  }
  run_tags();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SealRequest& request = requests[i];
    EspKeys& keys = request.sealer->keys();
    if (!request.sealed || keys.aead() || !keys.integrity) continue;
    request.sealed = done_[i] != 0;
    const EspLayout& layout = request.sealer->layout();
    std::copy_n(tags_[i].begin(), layout.icv, parts_of(layout, request.packet).tag.begin());
  }
}

void CryptoBatch::open(std::span<OpenRequest> requests) {
  begin(requests.size());
  bool more = false;
  for (const OpenRequest& first : requests.first(std::min(kAhead, requests.size()))) {
    prefetch(first.opener->keys(), first.packet.size());
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i + kAhead < requests.size()) {
      const OpenRequest& later = requests[i + kAhead];
      prefetch(later.opener->keys(), later.packet.size());
    }
    OpenRequest& request = requests[i];
    request.opened = {};
    if (!request.opener->could_be(request.packet)) continue;
    request.opened.verdict = OpenVerdict::not_authentic;
    const EspLayout& layout = request.opener->layout();
    const EspParts parts = parts_of(layout, request.packet);
    EspKeys& keys = request.opener->keys();
    if (keys.aead()) {
      if (keys.open_aead(parts, request.sequence)) request.opened = EspOpener::unpack(parts.payload);
      continue;
    }
    more = true;
    // Without an algorithm of its own it came out of AH, which has verified all of it.
    done_[i] = 1;
    if (!keys.integrity) continue;
    std::copy(parts.tag.begin(), parts.tag.end(), received_[i].begin());
    tag(i, *keys.integrity, keys.authenticated(parts, request.sequence), layout.icv);
  }
  if (more) open_others(requests);
}

void CryptoBatch::open_others(std::span<OpenRequest> requests) {
  run_tags();
  const auto pending = [](const OpenRequest& request) {
    return request.opened.verdict == OpenVerdict::not_authentic && !request.opener->keys().aead();
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    OpenRequest& request = requests[i];
    if (!pending(request)) continue;
    const EspLayout& layout = request.opener->layout();
    const EspParts parts = parts_of(layout, request.packet);
    EspKeys& keys = request.opener->keys();
    const ByteView expected = ByteView(tags_[i]).first(layout.icv);
    const ByteView received = ByteView(received_[i]).first(layout.icv);
    if (keys.integrity && (done_[i] == 0 || !equal_constant_time(expected, received))) continue;
    request.opened.verdict = OpenVerdict::ok;
    crypt(i, keys, parts);
  }
  run_ciphers();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    OpenRequest& request = requests[i];
    if (request.opened.verdict != OpenVerdict::ok || request.opener->keys().aead()) continue;
    const EspParts parts = parts_of(request.opener->layout(), request.packet);
    request.opened = done_[i] != 0 ? EspOpener::unpack(parts.payload) : Opened{};
  }
}

void CryptoBatch::protect(std::span<AhRequest> requests) {
  if (requests.empty()) return;
  begin(requests.size());
  grow(frames_, requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    AhRequest& request = requests[i];
    const bool begun =
        request.ah->begin_protect(request.packet, request.ip_header, request.header, frames_[i]);
    request.verdict = begun ? AhVerdict::ok : AhVerdict::failed;
    if (begun) tag(i, *request.ah, request.packet, request.header.sequence);
  }
  run_tags();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    AhRequest& request = requests[i];
    if (request.verdict != AhVerdict::ok) continue;
    request.ah->end_protect(request.packet, request.ip_header, frames_[i], tags_[i]);
    if (done_[i] == 0) request.verdict = AhVerdict::failed;
  }
}

void CryptoBatch::verify(std::span<AhRequest> requests) {
  if (requests.empty()) return;
  begin(requests.size());
  grow(frames_, requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    AhRequest& request = requests[i];
    request.verdict = request.ah->begin_verify(request.packet, request.ip_header, frames_[i]);
    if (request.verdict == AhVerdict::ok) tag(i, *request.ah, request.packet, request.header.sequence);
  }
  run_tags();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    AhRequest& request = requests[i];
    if (request.verdict != AhVerdict::ok) continue;
    request.verdict = request.ah->end_verify(request.packet, request.ip_header, frames_[i], tags_[i]);
    if (done_[i] == 0) request.verdict = AhVerdict::failed;
  }
}

}  // namespace oakgate::soft
