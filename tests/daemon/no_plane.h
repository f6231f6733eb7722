// A data plane that accepts everything and carries nothing.
#pragma once

#include <string>

#include "ike/ports/data_plane.h"

namespace oakgate::test {

class NoPlane final : public DataPlane {
 public:
  explicit NoPlane(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  int fd() const override { return -1; }
  void dispatch(DataPlaneListener& /*listener*/) override {}
  Result<void> exempt_socket(int /*fd*/, Family /*family*/) override { return {}; }
  Result<void> attach_encapsulation_socket(int /*fd*/, const Endpoint& /*local*/,
                                           bool /*non_ike_marker*/) override {
    return {};
  }
  void detach_encapsulation_socket(int /*fd*/) override {}
  bool reads_encapsulation_socket() const override { return false; }
  Result<void> protect(const ProtectPolicy& /*policy*/) override { return {}; }
  Result<void> unprotect(Reqid /*reqid*/) override { return {}; }
  Result<void> install(std::span<const SaSpec> /*sas*/) override { return {}; }
  Result<void> remove(std::span<const SaId> /*sas*/) override { return {}; }
  Result<void> move(std::span<const SaMove> /*sas*/) override { return {}; }
  Result<std::vector<SaCounters>> counters(std::span<const SaId> /*sas*/) override {
    return std::vector<SaCounters>();
  }
  Result<DropCounts> drops() override { return drop_counts; }
  void shut_down() override {}

  DropCounts drop_counts;  // what drops() answers

 private:
  std::string name_;
};

}  // namespace oakgate::test
