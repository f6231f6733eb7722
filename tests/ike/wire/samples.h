// One payload of each kind with the bytes it must have, worked out by hand from the RFCs' pictures: a wrong
// order or width in a field list shows here even if parser and encoder agree with each other.
#pragma once

#include <string>
#include <vector>

#include "ike/wire/payloads.h"

namespace oakgate::wire::test {

struct Sample {
  std::string name;
  Payload payload;
  std::string hex;  // the body behind the generic header
};

[[nodiscard]] inline std::vector<Sample> samples() {
  const Transform first{1,
                        kTransformKeyIke,
                        {Attribute::short_form(ike_attribute::encryption, 7),
                         Attribute::short_form(ike_attribute::key_length, 128),
                         Attribute::short_form(ike_attribute::life_type, kLifeSeconds),
                         Attribute::long_form(ike_attribute::life_duration, 86400)}};
  const Transform second{2, kTransformKeyIke, {Attribute::short_form(ike_attribute::encryption, 5)}};
  const SaPayload phase1{kDoiIpsec, kSituationIdentityOnly, {{1, kProtocolIsakmp, {}, {first, second}}}, {}};
  const Transform esp{1, 12, {Attribute::short_form(ipsec_attribute::encapsulation_mode, kModeTunnel)}};
  const Transform ah{1, 3, {Attribute::short_form(ipsec_attribute::authentication, 2)}};
  const SaPayload phase2{kDoiIpsec,
                         kSituationIdentityOnly,
                         {{0, kProtocolAh, {1, 2, 3, 4}, {ah}}, {0, kProtocolEsp, {5, 6, 7, 8}, {esp}}},
                         {}};
  return {
      {"phase 1 SA", phase1,
       "00000001 00000001"
       "00 00 0030 01 01 00 02"
       "03 00 001c 01 01 0000 80010007 800e0080 800b0001 000c000400015180"
       "00 00 000c 02 01 0000 80010005"},
      {"AH and ESP in one proposal", phase2,
       "00000001 00000001"
       "02 00 0018 00 02 04 01 01020304 00 00 000c 01 03 0000 80050002"
       "00 00 0018 00 03 04 01 05060708 00 00 000c 01 0c 0000 80040001"},
      {"KE", KeyExchangePayload{{1, 2, 3}}, "010203"},
      {"ID", IdPayload{IdType::ipv4_addr, 17, 500, {192, 0, 2, 1}}, "01 11 01f4 c0000201"},
      {"CERT", CertificatePayload{4, {0x30, 0}}, "04 3000"},
      {"CR", CertificateRequestPayload{4, {}}, "04"},
      {"HASH", HashPayload{{9, 8}}, "0908"},
      {"SIG", SignaturePayload{{7}}, "07"},
      {"NONCE", NoncePayload{{1, 2, 3, 4, 5, 6, 7, 8}}, "0102030405060708"},
      {"N", NotifyPayload{1, kProtocolEsp, NotifyType::responder_lifetime, {1, 2, 3, 4}, {0x80, 1, 0, 1}},
       "00000001 03 04 6000 01020304 80010001"},
      {"D", DeletePayload{1, kProtocolEsp, 4, {{1, 2, 3, 4}, {5, 6, 7, 8}}, {}},
       "00000001 03 04 0002 01020304 05060708"},
      {"D with a reason", DeletePayload{0, kProtocolIsakmp, 2, {{1, 2}}, {'b', 'y', 'e'}},
       "00000000 01 02 0001 0102 627965"},
      {"VID", VendorIdPayload{{0xaf, 0xca}}, "afca"},
      {"ATTR", AttributesPayload{1, 0x0102, {{16520, true, {0, 0}}, {16521, false, {'u'}}, {1, false, {}}}},
       "01 00 0102 c0880000 4089 0001 75 0001 0000"},
      {"NAT-D", NatDetectionPayload{PayloadType::nat_d, {1, 2}}, "0102"},
      {"NAT-D of the drafts", NatDetectionPayload{PayloadType::nat_d_draft, {1, 2}}, "0102"},
      {"NAT-OA", NatOriginalAddressPayload{PayloadType::nat_oa, IdType::ipv4_addr, {10, 0, 0, 1}},
       "01 000000 0a000001"},
      {"NAT-OA of the drafts",
       NatOriginalAddressPayload{PayloadType::nat_oa_draft, IdType::ipv4_addr, {10, 0, 0, 1}},
       "01 000000 0a000001"},
      {"FRAG", FragmentPayload{1, 2, 1, {0xab}}, "0001 02 01 ab"},
      {"NAT-D of the first drafts", UnknownPayload{PayloadType{15}, {1, 2}}, "0102"},
      {"private", UnknownPayload{PayloadType{255}, {}}, ""},
  };
}

}  // namespace oakgate::wire::test
