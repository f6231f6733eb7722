// Fuzz target: Wireshark's tables of keys. What was read can be written, and read again.
#include "daemon/capture/wireshark_tables.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate::capture;
  KeyTables tables;
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  (void)read_table(text, "table", tables);
  for (const EspKeys& keys : tables.esp) {
    const auto line = esp_line(keys);
    KeyTables again;
    const auto view = line->view();
    if (!read_table({static_cast<const char*>(static_cast<const void*>(view.data())), view.size()}, "again",
                    again) ||
        again.esp.size() != 1 || again.esp[0].cipher != keys.cipher) {
      __builtin_trap();
    }
  }
  return 0;
}
