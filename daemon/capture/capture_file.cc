#include "daemon/capture/capture_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace oakgate::capture {

namespace {

constexpr std::uint32_t kPcapMicro = 0xa1b2c3d4;
constexpr std::uint32_t kPcapNano = 0xa1b23c4d;
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceBlock = 1, kOldPacketBlock = 2, kSimplePacketBlock = 3,
                        kEnhancedPacketBlock = 6;
constexpr std::uint16_t kOptionEnd = 0, kOptionTimeResolution = 9, kOptionTimeOffset = 14;
constexpr std::uint64_t kNano = 1'000'000'000;

// Numbers in the order of the machine that wrote the file.
class FileReader {
 public:
  FileReader(ByteView data, bool swapped) : reader_(data), swapped_(swapped) {}
  [[nodiscard]] bool u16(std::uint16_t& out) {
    if (!reader_.u16(out)) return false;
    if (swapped_) out = __builtin_bswap16(out);
    return true;
  }
  [[nodiscard]] bool u32(std::uint32_t& out) {
    if (!reader_.u32(out)) return false;
    if (swapped_) out = __builtin_bswap32(out);
    return true;
  }
  [[nodiscard]] bool view(std::size_t length, ByteView& out) { return reader_.view(length, out); }
  [[nodiscard]] bool skip(std::size_t length) { return reader_.skip(length); }
  [[nodiscard]] bool empty() const { return reader_.empty(); }
  [[nodiscard]] std::size_t remaining() const { return reader_.remaining(); }
  [[nodiscard]] std::size_t position() const { return reader_.position(); }
  [[nodiscard]] bool swapped() const { return swapped_; }

 private:
  ByteReader reader_;
  bool swapped_;
};

struct Interface {
  LinkType link{};
  std::uint32_t snap_length = 0;               // 0: none
  std::uint64_t units_per_second = 1'000'000;  // of time stamps
  std::uint64_t offset_seconds = 0;
};

std::uint64_t nanoseconds_of(const Interface& interface, std::uint32_t high, std::uint32_t low) {
  const std::uint64_t units = std::uint64_t{high} << 32 | low;
  const std::uint64_t seconds = units / interface.units_per_second + interface.offset_seconds;
  const std::uint64_t rest = units % interface.units_per_second;
  if (seconds > UINT64_MAX / kNano - 1) return 0;  // no clock says that
  // Of more than a nanosecond's resolution something is lost.
  const std::uint64_t nano = interface.units_per_second <= kNano
                                 ? rest * kNano / interface.units_per_second
                                 : rest / (interface.units_per_second / kNano);
  return seconds * kNano + nano;
}

std::string ends_in(std::size_t position, std::string_view what) {
  return fmt::format("it ends within {} at byte {}", what, position);
}

FileEnd read_pcap(FileReader reader, bool nano, const OnFrame& on_frame) {
  FileEnd end;
  std::uint32_t link = 0;
  if (!reader.skip(20) || !reader.u32(link)) {
    end.flaw = ends_in(reader.position(), "the file's header");
    return end;
  }
  while (!reader.empty()) {
    const std::size_t start = reader.position();
    std::uint32_t seconds = 0, fraction = 0, captured = 0;
    Frame frame;
    if (!reader.u32(seconds) || !reader.u32(fraction) || !reader.u32(captured) || !reader.u32(frame.length)) {
      end.flaw = ends_in(start, "a packet's header");
      return end;
    }
    if (captured > kMaxFrameBytes) {
      end.flaw = fmt::format("a packet of {} bytes at byte {}, at most {} are taken", captured, start,
                             kMaxFrameBytes);
      return end;
    }
    if (!reader.view(captured, frame.bytes)) {
      end.flaw = ends_in(start, "a packet");
      return end;
    }
    frame.number = ++end.frames;
    frame.nanoseconds = seconds * kNano + fraction * (nano ? 1ULL : 1000ULL);
    frame.link = static_cast<LinkType>(link & 0xffffU);
    on_frame(frame);
  }
  return end;
}

class PcapngReader {
 public:
  explicit PcapngReader(ByteView file, const OnFrame& on_frame) : file_(file), on_frame_(on_frame) {}

  FileEnd run() {
    while (position_ < file_.size() && end_.flaw.empty()) block();
    return std::move(end_);
  }

 private:
  void flaw(std::string text) {
    if (end_.flaw.empty()) end_.flaw = std::move(text);
  }

  void block() {
    FileReader reader(file_.subspan(position_), swapped_);
    std::uint32_t type = 0, length = 0;
    if (!reader.u32(type) || !reader.u32(length)) return flaw(ends_in(position_, "a block's header"));
    if (type == kSectionHeader) {
      if (!begin_section(length)) return;
    }
    if (length < 12 || length % 4 != 0) {
      return flaw(fmt::format("a block of {} bytes at byte {}, which none has", length, position_));
    }
    if (length > file_.size() - position_) return flaw(ends_in(position_, "a block"));
    const ByteView body = file_.subspan(position_ + 8, length - 12);
    FileReader inside(body, swapped_);
    bool whole = true;
    if (type == kInterfaceBlock) whole = interface(inside);
    if (type == kEnhancedPacketBlock) whole = packet(inside, false);
    if (type == kOldPacketBlock) whole = packet(inside, true);
    if (type == kSimplePacketBlock) whole = simple_packet(inside);
    if (!whole) return flaw(fmt::format("a block of type {} at byte {} is broken", type, position_));
    position_ += length;
  }

  // The section says in which order its numbers are, its own length among them.
  bool begin_section(std::uint32_t& length) {
    FileReader reader(file_.subspan(position_ + 4), false);
    std::uint32_t raw_length = 0, magic = 0;
    if (!reader.u32(raw_length) || !reader.u32(magic)) {
      flaw(ends_in(position_, "a section's header"));
      return false;
    }
    if (magic != kByteOrderMagic && magic != __builtin_bswap32(kByteOrderMagic)) {
      flaw(fmt::format("a section at byte {} without pcapng's byte-order magic", position_));
      return false;
    }
    swapped_ = magic != kByteOrderMagic;
    length = swapped_ ? __builtin_bswap32(raw_length) : raw_length;
    interfaces_.clear();
    return true;
  }

  bool interface(FileReader reader) {
    Interface one;
    std::uint16_t link = 0;
    if (!reader.u16(link) || !reader.skip(2) || !reader.u32(one.snap_length)) return false;
    if (interfaces_.size() == kMaxInterfaces) return false;
    one.link = static_cast<LinkType>(link);
    while (!reader.empty()) {
      std::uint16_t code = 0, length = 0;
      ByteView value;
      if (!reader.u16(code) || !reader.u16(length) || !reader.view(length, value)) return false;
      if (!reader.skip(std::min<std::size_t>((4U - length % 4U) % 4U, reader.remaining()))) return false;
      if (code == kOptionEnd) break;
      if (code == kOptionTimeResolution && length == 1 && !set_resolution(value[0], one)) return false;
      if (code == kOptionTimeOffset && length == 8) {
        FileReader number(value, reader.swapped());
        std::uint32_t first = 0, second = 0;
        if (!number.u32(first) || !number.u32(second)) return false;
        one.offset_seconds =
            swapped_ ? std::uint64_t{second} << 32 | first : std::uint64_t{first} << 32 | second;
        if (one.offset_seconds > UINT32_MAX) one.offset_seconds = 0;  // no clock says that
      }
    }
    interfaces_.push_back(one);
    return true;
  }

  // Negative powers of ten, or of two with the highest bit set.
  static bool set_resolution(std::uint8_t value, Interface& one) {
    const unsigned power = value & 0x7fU;
    std::uint64_t units = 1;
    if ((value & 0x80U) != 0) {
      if (power > 30) return false;
      units <<= power;
    } else {
      if (power > 18) return false;
      for (unsigned i = 0; i < power; ++i) units *= 10;
    }
    one.units_per_second = units;
    return true;
  }

  bool packet(FileReader reader, bool old) {
    std::uint32_t index = 0, high = 0, low = 0, captured = 0;
    if (old) {
      std::uint16_t short_index = 0;
      if (!reader.u16(short_index) || !reader.skip(2)) return false;
      index = short_index;
    } else if (!reader.u32(index)) {
      return false;
    }
    Frame frame;
    if (!reader.u32(high) || !reader.u32(low) || !reader.u32(captured) || !reader.u32(frame.length))
      return false;
    if (index >= interfaces_.size() || captured > kMaxFrameBytes || !reader.view(captured, frame.bytes))
      return false;
    frame.nanoseconds = nanoseconds_of(interfaces_[index], high, low);
    hand_up(frame, interfaces_[index]);
    return true;
  }

  bool simple_packet(FileReader reader) {
    Frame frame;
    if (!reader.u32(frame.length) || interfaces_.empty()) return false;
    std::size_t captured = std::min<std::size_t>(frame.length, reader.remaining());
    if (interfaces_[0].snap_length != 0)
      captured = std::min<std::size_t>(captured, interfaces_[0].snap_length);
    if (captured > kMaxFrameBytes || !reader.view(captured, frame.bytes)) return false;
    hand_up(frame, interfaces_[0]);
    return true;
  }

  void hand_up(Frame& frame, const Interface& interface) {
    frame.number = ++end_.frames;
    frame.link = interface.link;
    on_frame_(frame);
  }

  ByteView file_;
  const OnFrame& on_frame_;
  FileEnd end_;
  std::size_t position_ = 0;
  bool swapped_ = false;
  std::vector<Interface> interfaces_;
};

}  // namespace

Result<FileEnd> read_capture(ByteView file, const OnFrame& on_frame) {
  ByteReader reader(file);
  std::uint32_t magic = 0;
  if (reader.u32(magic)) {
    if (magic == kSectionHeader) return PcapngReader(file, on_frame).run();
    for (const std::uint32_t known : {kPcapMicro, kPcapNano}) {
      if (magic == known) return read_pcap({file, false}, known == kPcapNano, on_frame);
      if (magic == __builtin_bswap32(known)) return read_pcap({file, true}, known == kPcapNano, on_frame);
    }
  }
  return fail(ErrorCode::malformed, "no capture file", "a file in the pcap or pcapng format",
              "tcpdump -w, Wireshark and `oakgate capture` write them");
}

}  // namespace oakgate::capture
