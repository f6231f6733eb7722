// One line of the control socket, whoever wrote it: parsed, and where it is a request, written and read
// again.
#include <cstdint>
#include <string>

#include "daemon/control_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string line(data, data + size);
  const auto request = oakgate::parse_request(line);
  if (!request) {
    const std::string answer = oakgate::error_line(request.error().id, request.error().error);
    if (answer.find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  const auto again = oakgate::parse_request(oakgate::dump(oakgate::request_json(*request)));
  // Escaping may make a line longer than a request may be.
  if (again && (again->id != request->id || again->verb != request->verb)) __builtin_trap();
  return 0;
}
