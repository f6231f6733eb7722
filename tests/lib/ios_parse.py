#!/usr/bin/env python3
"""ios_parse.py STATUS IPSEC ISAKMP: reads what `oakgate show crypto ipsec sa` and `oakgate show crypto isakmp sa` have printed, as
programs that read IOS do: line by line, by regular expressions with the field names of ntc-templates. Every line has to match
one, every expected field has to be there, and the values have to be those of STATUS, the output of `oakgate status --json` at
the same time. Prints how much it has compared; exits with 1 and says what differs.

The expressions are for IOS's own layout, too: blanks and optional parts vary between its releases."""
import ipaddress
import json
import re
import sys

SPI = r"0x(?P<{0}>[0-9A-Fa-f]+)\s*\((?P<{0}_DECIMAL>\d+)\)"
IDENT = r"\((?P<{0}_IDENT_NETWORK>[^/]+)(?:/(?P<{0}_IDENT_MASK>[^/]+))?/(?P<{0}_IDENT_PROTOCOL>\d+)/(?P<{0}_IDENT_PORT>\d+)\)"

# Of one selector pair. A line that matches the first begins a new one.
PAIR = [
    r"\s*Crypto map tag:\s*(?P<CRYPTO_MAP_TAG>\S+), local addr\.? (?P<LOCAL_ADDR>\S+)",
    r"\s*protected vrf: (?P<PROTECTED_VRF>\S+)",
    r"\s*local\s+ident \(addr/mask/prot/port\): " + IDENT.format("LOCAL"),
    r"\s*remote\s+ident \(addr/mask/prot/port\): " + IDENT.format("REMOTE"),
    r"\s*current_peer:? (?P<CURRENT_PEER>\S+) port (?P<CURRENT_PEER_PORT>\d+)",
    r"\s*PERMIT, flags=\{(?P<FLAGS>.*)\}",
    r"\s*#pkts encaps: (?P<PKTS_ENCAPS>\d+), #pkts encrypt: (?P<PKTS_ENCRYPT>\d+), #pkts digest:? (?P<PKTS_DIGEST>\d+)",
    r"\s*#pkts decaps: (?P<PKTS_DECAPS>\d+), #pkts decrypt: (?P<PKTS_DECRYPT>\d+), #pkts verify:? (?P<PKTS_VERIFY>\d+)",
    r"\s*#pkts compressed: (?P<PKTS_COMPRESSED>\d+), #pkts decompressed: (?P<PKTS_DECOMPRESSED>\d+)",
    r"\s*#send errors:? (?P<SEND_ERRORS>\d+), #recv errors:? (?P<RECV_ERRORS>\d+)",
    r"\s*local crypto endpt\.: (?P<LOCAL_CRYPTO_ENDPOINT>\S+), remote crypto endpt\.: (?P<REMOTE_CRYPTO_ENDPOINT>\S+)",
    r"\s*current outbound spi: " + SPI.format("CURRENT_OUTBOUND_SPI"),
    r"\s*PFS \(Y/N\): (?P<PFS>[YN]), DH group: (?P<DH_GROUP>\S+)",
]
LIST = r"\s*(?P<DIRECTION>inbound|outbound) (?P<PROTOCOL>esp|ah|pcp) sas:"
# Of one SA in such a list; likewise.
SA = [
    r"\s*spi: " + SPI.format("SPI"),
    r"\s*transform: (?P<TRANSFORM>\S.*?) ?,",
    r"\s*in use settings =\{(?P<MODE>Tunnel|Transport)(?P<UDP_ENCAPS> UDP-Encaps)?, \}",
    r"\s*conn id: (?P<CONN_ID>\d+)(?:, flow_id: \S+)?, crypto map: (?P<CRYPTO_MAP>\S+)",
    r"\s*sa timing: remaining key lifetime \((?:k/sec\): \((?P<LIFETIME_KILOBYTES>\d+)/|sec\): \(?)(?P<LIFETIME_SECONDS>\d+)\)?",
    r"\s*replay detection support: (?P<REPLAY_DETECTION>[YN])",
    r"\s*last sequence number: (?P<SEQUENCE_NUMBER>\d+)",
    r"\s*extended sequence numbers: (?P<EXTENDED_SEQUENCE_NUMBERS>Y)",
    r"\s*Status: (?P<STATUS>ACTIVE\S*)",
]
OPTIONAL = {"PROTECTED_VRF", "LOCAL_IDENT_MASK", "REMOTE_IDENT_MASK", "UDP_ENCAPS", "LIFETIME_KILOBYTES", "SEQUENCE_NUMBER",
            "EXTENDED_SEQUENCE_NUMBERS"}
INTERFACE = r"interface: (?P<INTERFACE>\S+)"

ISAKMP_HEADINGS = [r"IPv[46] Crypto ISAKMP SA", r"dst\s+src\s+state\s+conn-id(?: slot)? status"]
ISAKMP_ROW = r"(?P<DST>\S+)\s+(?P<SRC>\S+)\s+(?P<STATE>[A-Z_0-9]+)\s+(?P<CONN_ID>\d+)\s+(?P<STATUS>ACTIVE.*)"
ISAKMP_V6 = [r"\s*dst: (?P<DST>\S+)", r"\s*src: (?P<SRC>\S+)",
             r"\s*state: (?P<STATE>\S+)\s+conn-id:\s+(?P<CONN_ID>\d+)\s+status: (?P<STATUS>ACTIVE.*)"]


def fail(text):
    sys.exit(f"ios_parse: {text}")


def first_match(patterns, line):
    """Which of them it is, and its fields."""
    for number, pattern in enumerate(patterns):
        match = re.fullmatch(pattern, line)
        if match:
            return number, {key: value for key, value in match.groupdict().items() if value is not None}
    return None, {}


def complete(record, patterns, what):
    wanted = {name for pattern in patterns for name in re.compile(pattern).groupindex} - OPTIONAL
    if wanted - record.keys():
        fail(f"{what}: without {', '.join(sorted(wanted - record.keys()))}")


def parse_ipsec(text):
    """Selector pairs, each with its fields and "SAS"."""
    pairs, interface, where = [], None, {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.rstrip()
        if not line:
            continue
        if match := re.fullmatch(INTERFACE, line):
            interface = match["INTERFACE"]
            continue
        if match := re.fullmatch(LIST, line):
            where = match.groupdict()
            continue
        which, fields = first_match(PAIR, line)
        if which == 0:
            pairs.append({"INTERFACE": interface, "SAS": []})
            where = {}
        if which is not None and pairs and not where:
            pairs[-1].update(fields)
            continue
        which, fields = first_match(SA, line)
        if which == 0 and where:
            pairs[-1]["SAS"].append(dict(where))
        if which is None or not where or not pairs[-1]["SAS"]:
            fail(f"show crypto ipsec sa, line {number} is not as IOS prints it: {line!r}")
        pairs[-1]["SAS"][-1].update(fields)
    for pair in pairs:
        complete(pair, [INTERFACE, *PAIR], f"the block of {pair.get('CRYPTO_MAP_TAG')}")
        for sa in pair["SAS"]:
            complete(sa, [LIST, *SA], f"an SA of {pair['CRYPTO_MAP_TAG']}")
    return pairs


def parse_isakmp(text):
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.rstrip()
        if not line or first_match(ISAKMP_HEADINGS, line)[0] is not None:
            continue
        if match := re.fullmatch(ISAKMP_ROW, line):
            rows.append(match.groupdict())
            continue
        which, fields = first_match(ISAKMP_V6, line)
        if which == 0:
            rows.append({})
        if which is None or not rows:
            fail(f"show crypto isakmp sa, line {number} is not as IOS prints it: {line!r}")
        rows[-1].update(fields)
    for row in rows:
        complete(row, [ISAKMP_ROW], "an ISAKMP SA")
    return rows


def network(pair, side):
    """As `status --json` writes it, without protocol and port."""
    address, mask = pair[side + "_IDENT_NETWORK"], pair.get(side + "_IDENT_MASK")
    return address if mask is None else str(ipaddress.ip_network(f"{address}/{mask}"))


class Comparison:
    def __init__(self):
        self.values = 0

    def equal(self, what, parsed, told):
        self.values += 1
        if parsed != told:
            fail(f"{what}: {parsed!r} as IOS prints it, {told!r} in status --json")


def transform_words(words):
    """esp-aes-256 of the configuration is esp-256-aes where IOS shows an SA."""
    return [re.sub(r"^esp-([a-z]+)-(\d+)$", r"esp-\2-\1", word) for word in words.split()]


def compare_sas(check, pair, told, tag):
    shown = {(sa["DIRECTION"], sa["PROTOCOL"], int(sa["SPI"], 16)): sa for sa in pair["SAS"]}
    expected = {}
    for sa in told:
        for direction, key in (("inbound", "in"), ("outbound", "out")):
            for one in sa[key]:
                expected[direction, one["protocol"], int(one["spi"], 16)] = sa
    check.equal(f"{tag}: its SAs", sorted(shown), sorted(expected))
    transforms = {}
    for key, sa in shown.items():
        status = expected[key]
        check.equal(f"{tag}: SPI {sa['SPI']} in decimal", int(sa["SPI_DECIMAL"]), key[2])
        check.equal(f"{tag}: Status of SPI {sa['SPI']}", sa["STATUS"],
                    "ACTIVE" if status["role"] == "current" else "ACTIVE(replaced)")
        check.equal(f"{tag}: crypto map of SPI {sa['SPI']}", sa["CRYPTO_MAP"], tag)
        check.equal(f"{tag}: whether SPI {sa['SPI']} ends within ten seconds of what status says",
                    abs(int(sa["LIFETIME_SECONDS"]) - status["expires_in_s"]) <= 10, True)
        transforms.setdefault((key[0], id(status)), (status, []))[1].extend(sa["TRANSFORM"].split())
    for status, words in transforms.values():
        algorithms = [word for word in status["algorithms"].split() if word.startswith(("esp-", "ah-", "comp-"))]
        check.equal(f"{tag}: transforms", sorted(words), sorted(transform_words(" ".join(algorithms))))


def compare_tunnel(check, peer, tunnel, pairs):
    tag = f"{peer['name']}/{tunnel['name']}"
    left = list(tunnel["sas"])
    for pair in (one for one in pairs if one["CRYPTO_MAP_TAG"] == tag):
        here = [sa for sa in left if sa["local"].split("[")[0] == network(pair, "LOCAL")
                and sa["remote"].split("[")[0] == network(pair, "REMOTE")]
        left = [sa for sa in left if sa not in here]
        for field in ("PKTS_ENCAPS", "PKTS_ENCRYPT", "PKTS_DIGEST"):
            check.equal(f"{tag}: {field}", int(pair[field]), sum(sa["packets_out"] for sa in here))
        for field in ("PKTS_DECAPS", "PKTS_DECRYPT", "PKTS_VERIFY"):
            check.equal(f"{tag}: {field}", int(pair[field]), sum(sa["packets_in"] for sa in here))
        current = [int(sa["out"][0]["spi"], 16) for sa in here if sa["role"] == "current"]
        check.equal(f"{tag}: CURRENT_OUTBOUND_SPI", [int(pair["CURRENT_OUTBOUND_SPI"], 16)], current or [0])
        if peer["isakmp_sa"] and current:
            check.equal(f"{tag}: CURRENT_PEER", pair["CURRENT_PEER"], address_of(peer["isakmp_sa"]["remote"]))
            for field in ("LOCAL_ADDR", "LOCAL_CRYPTO_ENDPOINT"):
                check.equal(f"{tag}: {field}", pair[field], address_of(peer["isakmp_sa"]["local"]))
        compare_sas(check, pair, here, tag)
    check.equal(f"{tag}: SAs in no block", left, [])


def address_of(endpoint):
    """192.0.2.1:500 and [2001:db8::1]:500 without the port."""
    return endpoint.rsplit(":", 1)[0].strip("[]")


def main():
    status, ipsec, isakmp = (open(name, encoding="utf-8").read() for name in sys.argv[1:4])
    status, pairs, rows = json.loads(status), parse_ipsec(ipsec), parse_isakmp(isakmp)
    check = Comparison()
    tags = {f"{peer['name']}/{tunnel['name']}" for peer in status["peers"] for tunnel in peer["tunnels"]}
    check.equal("crypto map tags", {pair["CRYPTO_MAP_TAG"] for pair in pairs}, tags)
    for pair in pairs:
        check.equal("INTERFACE", pair["INTERFACE"], status["data_plane"])
    for peer in status["peers"]:
        for tunnel in peer["tunnels"]:
            compare_tunnel(check, peer, tunnel, pairs)
        sa = peer["isakmp_sa"]
        if sa:
            # The responder is the destination, whoever prints it.
            ends = ["remote", "local"] if sa["role"] == "initiator" else ["local", "remote"]
            shown = [(row["DST"], row["SRC"], row["STATE"]) for row in rows if row["STATUS"] == "ACTIVE"]
            told = (*(address_of(sa[end]) for end in ends), sa["state"])
            check.equal(f"the ISAKMP SA with {peer['name']}", told in shown, True)
    print(f"{len(pairs)} blocks, {sum(len(pair['SAS']) for pair in pairs)} SAs, {len(rows)} ISAKMP SAs, {check.values} values equal")


main()
