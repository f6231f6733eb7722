// Fuzz target: a capture file, looked at whole as `oakgate decode` does, with keys that fit many SAs.
#include "daemon/decode/decoder.h"

using oakgate::ByteView;

namespace {

const oakgate::capture::KeyTables& tables() {
  static const oakgate::capture::KeyTables all = [] {
    oakgate::capture::KeyTables made;
    const auto read = oakgate::capture::read_table(
        "fafaeb49382a763c,735be0cb62f82675c4f7bf8fbab9b56834ba76d6ab4fa240\n"
        "ab3e0f1f8bc3be8e,928392441e00ece5e8af3bc545416e86afa1291e7c013271514738b70ef25d22\n"
        "29f6006212625def,c26a81baec6070d289f0b4f13c2fb182e3d5406d11c29ebc2fc179502541325b\n"
        "# phase 1 ended: e47a591fd057587f a00b8ef0902bb8ec 3des sha 0102030405060708\n"
        "\"IPv4\",\"192.168.0.1\",\"192.168.0.100\",\"0x070883c2\",\"AES-CBC [RFC3602]\","
        "\"0x5de1a4c2c72662c9fda7a7c78cd25623\",\"HMAC-SHA-1-96 [RFC2404]\","
        "\"0x51c9213c18232f8f26c70c4dee6e0e6d56e31e8a\"\n"
        "\"IPv4\",\"*\",\"*\",\"*\",\"NULL\",\"0x\",\"ANY 96 bit authentication [no checking]\",\"0x\"\n",
        "tables", made);
    if (!read) __builtin_trap();
    return made;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::decode::Decoder decoder(tables());
  std::size_t shown = 0;
  const auto end = oakgate::capture::read_capture({data, size}, [&](const oakgate::capture::Frame& frame) {
    const oakgate::Json packet = decoder.take(frame);
    if (!packet.is_null()) shown += oakgate::dump(packet).size();
    (void)oakgate::capture::cut_vector(frame.bytes);
  });
  if (end && oakgate::dump(decoder.story()).empty()) __builtin_trap();
  return shown == SIZE_MAX ? 1 : 0;
}
