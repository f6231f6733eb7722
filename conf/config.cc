#include "conf/config.h"

namespace oakgate::conf {

bool PeerAddress::contains(const IpAddress& address) const {
  switch (kind) {
    case Kind::any:
      return true;
    case Kind::host_name:
      return false;
    case Kind::address:
    case Kind::range:
      break;
  }
  // Comparison is by family first, then by the bytes in network order, so it orders addresses by number.
  return address.family() == first.family() && first <= address && address <= last;
}

std::string PeerAddress::to_string() const {
  switch (kind) {
    case Kind::any:
      return "any";
    case Kind::host_name:
      return host_name;
    case Kind::address:
      return first.to_string();
    case Kind::range:
      break;
  }
  for (int prefix = 0; prefix < first.bits(); ++prefix) {
    const Subnet subnet(first, prefix);
    if (subnet.address() == first && subnet.last() == last) return subnet.to_string();
  }
  return first.to_string() + "-" + last.to_string();
}

}  // namespace oakgate::conf
