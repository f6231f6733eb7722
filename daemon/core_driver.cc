#include "daemon/core_driver.h"

#include <fmt/format.h>

#include "daemon/text.h"
#include "ike/crypto/dh.h"
#include "ike/crypto/public_key.h"

namespace oakgate {

namespace {

using JobResult = decltype(ike::JobDone::result);

template <typename T>
JobResult job_result(Result<T> result) {
  if (!result) return fail(std::move(result.error()));
  return ike::JobOutput(std::move(*result));
}

Result<std::vector<Bytes>> encrypt_blocks(const ike::EncryptBlocks& job) {
  std::vector<Bytes> blocks;
  for (const SecretBytes& content : job.contents) {
    Result<Bytes> block = crypto::rsa_encrypt(job.spki, content.view());
    if (!block) return fail(std::move(block.error()));
    blocks.push_back(std::move(*block));
  }
  return blocks;
}

Result<std::vector<SecretBytes>> decrypt_blocks(const ike::DecryptBlocks& job, const KeyStore& keys) {
  std::vector<SecretBytes> contents;
  for (const ike::DecryptBlocks::Block& block : job.blocks) {
    Result<SecretBytes> content = keys.decrypt(job.key, block.data, block.at_least, block.at_most);
    if (!content) return fail(std::move(content.error()));
    contents.push_back(std::move(*content));
  }
  return contents;
}

JobResult run_job(ike::Job& job, const KeyStore& keys) {
  struct Visitor {
    const KeyStore& keys;
    JobResult operator()(ike::DhGenerate& dh) const { return job_result(crypto::dh_generate(dh.group)); }
    JobResult operator()(ike::DhShared& dh) const {
      return job_result(crypto::dh_shared(dh.ours, dh.peer_public));
    }
    JobResult operator()(ike::PreSharedKeyPrf& prf) const {
      return job_result(keys.prf_with_pre_shared_key(prf.peer, prf.prf, prf.data));
    }
    JobResult operator()(ike::Sign& sign) const { return job_result(keys.sign(sign.key, sign.hash)); }
    JobResult operator()(ike::EncryptBlocks& job) const { return job_result(encrypt_blocks(job)); }
    JobResult operator()(ike::DecryptBlocks& job) const { return job_result(decrypt_blocks(job, keys)); }
  };
  return std::visit(Visitor{keys}, job);
}

// What several at once are faster at: each kind of computation in each group is one of tasks. 0: none.
unsigned batch_kind(const ike::Job& job) {
  const auto kind_of = [](DhGroup group, unsigned which) {
    return crypto::dh_batches(group) ? 2 * static_cast<unsigned>(group) + which : 0;
  };
  if (const auto* generate = std::get_if<ike::DhGenerate>(&job)) return kind_of(generate->group, 1);
  if (const auto* shared = std::get_if<ike::DhShared>(&job)) return kind_of(shared->ours.group, 2);
  return 0;
}

}  // namespace

class CoreDriver::JobTask final : public Task {
 public:
  JobTask(CoreDriver& driver, ike::StartJob job)
      : driver_(driver),
        keys_(driver.parts_.keys),
        job_(std::move(job)),
        kind_(driver.batches_ ? batch_kind(job_.job) : 0) {}
  void work() override { result_ = run_job(job_.job, keys_); }
  void done() override {
    driver_.completions_.push_back(ike::JobDone{job_.id, std::move(result_)});
    driver_.feed([](const ike::Context&, ike::Engine&) {});
  }
  [[nodiscard]] unsigned kind() const override { return kind_; }
  void work_together(std::span<const std::unique_ptr<Task>> tasks) override;

 private:
  CoreDriver& driver_;  // for the loop's thread only
  const KeyStore& keys_;
  ike::StartJob job_;
  JobResult result_;
  unsigned kind_;
};

void CoreDriver::JobTask::work_together(std::span<const std::unique_ptr<Task>> tasks) {
  std::vector<JobTask*> all;
  for (const std::unique_ptr<Task>& task : tasks) all.push_back(static_cast<JobTask*>(task.get()));
  const auto hand_out = [&](auto results) {
    for (std::size_t i = 0; i < all.size(); ++i) all[i]->result_ = job_result(std::move(results[i]));
  };
  if (const auto* generate = std::get_if<ike::DhGenerate>(&job_.job)) {
    hand_out(crypto::dh_generate(generate->group, all.size()));
    return;
  }
  std::vector<crypto::DhExchange> exchanges;
  for (const JobTask* task : all) {
    const auto& shared = std::get<ike::DhShared>(task->job_.job);
    exchanges.push_back({&shared.ours, shared.peer_public});
  }
  hand_out(crypto::dh_shared(exchanges));
}

CoreDriver::CoreDriver(Parts parts)
    : parts_(std::move(parts)), deadline_(parts_.loop, [this] {
        feed([](const ike::Context& context, ike::Engine& engine) { engine.on_timer(context); });
      }) {}

template <typename Input>
void CoreDriver::feed(Input input) {
  ike::Effects effects;
  input(ike::Context{read_clocks(), parts_.rng, effects}, engine_);
  carry_out(std::move(effects));
  while (!completions_.empty()) {
    ike::Completion completion = std::move(completions_.front());
    completions_.pop_front();
    ike::Effects more;
    engine_.on_completion(ike::Context{read_clocks(), parts_.rng, more}, std::move(completion));
    carry_out(std::move(more));
  }
  if (const auto next = engine_.next_deadline()) {
    deadline_.arm(*next - read_clocks().instant);
  } else {
    deadline_.disarm();
  }
  if (parts_.key_watch != nullptr) parts_.key_watch->core_worked();
}

void CoreDriver::carry_out(ike::Effects effects) {
  for (ike::Effect& effect : effects) {
    std::visit([this](auto& one) { run(one); }, effect);
  }
}

void CoreDriver::start(ike::EngineConfig config, std::vector<ike::KeptPair> kept) {
  learn_names(config);
  if (parts_.traffic != nullptr) {
    for (const ike::KeptPair& pair : kept) parts_.traffic->adopted(pair);
  }
  feed([&](const ike::Context& context, ike::Engine& engine) {
    engine.start(context, std::move(config), std::move(kept));
  });
}

void CoreDriver::on_datagram(const ike::Datagram& datagram) {
  feed([&](const ike::Context& context, ike::Engine& engine) { engine.on_datagram(context, datagram); });
}

void CoreDriver::on_command(ike::Command command) {
  if (const auto* reconfigure = std::get_if<ike::Reconfigure>(&command)) learn_names(reconfigure->config);
  feed([&](const ike::Context& context, ike::Engine& engine) {
    engine.on_command(context, std::move(command));
  });
}

std::vector<ike::PeerSnapshot> CoreDriver::snapshot(std::string_view peer) const {
  return engine_.snapshot(read_clocks().wall, peer);
}

void CoreDriver::learn_names(const ike::EngineConfig& config) {
  if (parts_.traffic != nullptr) parts_.traffic->configure(metrics::tunnels_of(config));
  names_.clear();
  for (const ike::PeerConfig& peer : config.peers) {
    for (const ike::TunnelConfig& tunnel : peer.tunnels) {
      for (const ike::PairConfig& pair : tunnel.pairs) {
        names_[pair.reqid] = printable(peer.name + "/" + tunnel.name);
      }
    }
  }
}

std::string CoreDriver::name_of(Reqid reqid) const {
  const auto found = names_.find(reqid);
  return found == names_.end() ? fmt::format("reqid {:#x}", reqid.value) : found->second;
}

void CoreDriver::run(ike::SendDatagram& effect) {
  const Result<void> sent = parts_.sockets.send(effect);
  if (sent) return;
  parts_.events.limited(LogLevel::warning, effect.remote.address,
                        fmt::format("[{}] {}", effect.remote.to_string(), error_text(sent.error())));
}

void CoreDriver::run(ike::StartJob& effect) {
  const ike::JobId id = effect.id;
  if (std::holds_alternative<ike::PreSharedKeyPrf>(effect.job)) {
    // It takes less time than handing it over.
    completions_.push_back(ike::JobDone{id, run_job(effect.job, parts_.keys)});
    return;
  }
  Result<void> submitted = parts_.workers.submit(std::make_unique<JobTask>(*this, std::move(effect)));
  if (!submitted) completions_.push_back(ike::JobDone{id, fail(std::move(submitted.error()))});
}

void CoreDriver::run(ike::VerifyPeer& effect) {
  const ike::JobId id = effect.id;
  parts_.verify(std::move(effect.proof), [this, id](PeerVerdict verdict) {
    completions_.push_back(ike::JobDone{id, ike::JobOutput(std::move(verdict))});
    feed([](const ike::Context&, ike::Engine&) {});
  });
}

void CoreDriver::run(ike::InstallSas& effect) {
  Result<void> installed = parts_.plane.install(effect.sas);
  if (installed) count_installed(effect.sas);
  completions_.push_back(ike::SasInstalled{effect.id, std::move(installed)});
}

void CoreDriver::count_installed(const std::vector<SaSpec>& sas) {
  if (sas.empty() || (parts_.traffic == nullptr && parts_.key_watch == nullptr)) return;
  const auto whose = engine_.tunnel_of(sas.front().reqid);
  if (!whose) return;
  if (parts_.traffic != nullptr) parts_.traffic->installed(sas, {whose->first, whose->second});
  if (parts_.key_watch != nullptr) parts_.key_watch->installed(sas, whose->first);
}

void CoreDriver::run(ike::RemoveSas& effect) {
  if (parts_.traffic != nullptr) {
    if (const auto counters = parts_.plane.counters(effect.sas)) parts_.traffic->counted(*counters);
    parts_.traffic->gone(effect.sas);
  }
  if (parts_.key_watch != nullptr) parts_.key_watch->gone(effect.sas);
  const Result<void> removed = parts_.plane.remove(effect.sas);
  if (!removed)
    parts_.log.write(Facility::engine, LogLevel::error,
                     "[-] removing SAs: " + printable(error_text(removed.error()), 1024));
}

void CoreDriver::run(ike::MoveSas& effect) {
  if (parts_.traffic != nullptr) {
    std::vector<SaId> ids;
    for (const SaMove& move : effect.sas) ids.push_back(move.id);
    if (const auto counters = parts_.plane.counters(ids)) parts_.traffic->counted(*counters);
  }
  Result<void> moved = parts_.plane.move(effect.sas);
  if (moved && parts_.traffic != nullptr) parts_.traffic->moved(effect.sas);
  if (moved && parts_.key_watch != nullptr) parts_.key_watch->moved(effect.sas);
  completions_.push_back(ike::SasMoved{effect.id, std::move(moved)});
}

void CoreDriver::run(ike::CountTraffic& effect) {
  Result<std::vector<SaCounters>> counters = parts_.plane.counters(effect.sas);
  if (parts_.traffic != nullptr && counters) parts_.traffic->counted(*counters);
  completions_.push_back(ike::TrafficCounted{effect.id, std::move(counters)});
}

void CoreDriver::run(ike::Protect& effect) {
  const Result<void> guarded = parts_.plane.protect(effect.policy);
  if (guarded) return;
  parts_.log.write(
      Facility::engine, LogLevel::error,
      fmt::format("[{}] {} is not guarded: {}", name_of(effect.policy.reqid),
                  effect.policy.selectors.to_string(), printable(error_text(guarded.error()), 1024)));
}

void CoreDriver::run(ike::Unprotect& effect) {
  const Result<void> released = parts_.plane.unprotect(effect.reqid);
  if (released) return;
  parts_.log.write(
      Facility::engine, LogLevel::error,
      fmt::format("[{}] {}", name_of(effect.reqid), printable(error_text(released.error()), 1024)));
}

void CoreDriver::run(ike::KeepPair& effect) {
  parts_.kept(std::move(effect.pair));
}

void CoreDriver::run(ike::ForgetPair& effect) {
  parts_.forgotten(effect.in);
}

void CoreDriver::run(ike::Raise& effect) {
  parts_.events.on_event(effect.event);
}

void CoreDriver::run(ike::CommandDone& effect) {
  parts_.outcome(effect.id, effect.result);
}

}  // namespace oakgate
