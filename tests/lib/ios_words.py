#!/usr/bin/env python3
"""ios_words.py KIND: reads from standard input what an IOS word of oakgate's has printed, line by line, by regular expressions;
every line has to match one. Prints the fields found, a JSON object a line; exits with 1 and says which line is not as IOS
prints it. KIND: connections, debug, debugging, keys, maps, proposals."""
import json
import re
import sys

STAMP = r"\*(?P<TIME>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d): "
OF = r"(?: \[(?P<PEER>[^\]/]+)(?:/(?P<TUNNEL>[^\]]+))?\])?"
KINDS = {
    "connections": [
        r"\s*ID\s+Interface\s+IP-Address\s+State\s+Algorithm\s+Encrypt\s+Decrypt",
        r"\s*(?P<ID>\d+)\s+(?P<INTERFACE>\S+)\s+(?P<IP_ADDRESS>\S+)\s+(?P<STATE>set|alloc)\s+(?P<ALGORITHM>[A-Z0-9_+]+)"
        r"\s+(?P<ENCRYPT>\d+)\s+(?P<DECRYPT>\d+)",
    ],
    "debug": [
        r"Crypto (?P<FACILITY>ISAKMP|IPSEC|Engine|PKI Trans) debugging is on(?:, peer (?P<ONLY>\S+))?",
        STAMP + r"(?P<LEFT_OUT>\d+) lines? left out",
        STAMP + r"ISAKMP:\s{6}(?P<ATTRIBUTE>\S.*) offered: (?P<THEIRS>.*), ours: (?P<OURS>.*)",
        STAMP + r"ISAKMP:\((?P<CONN_ID>\d+)\): (?P<ISAKMP>\S.*?)" + OF,
        STAMP + r"IPSEC(?:\((?P<FUNCTION>\w+)\))?: (?P<IPSEC>\S.*?)" + OF,
        STAMP + r"%(?P<MESSAGE>CRYPTO-\d-[A-Z_]+): (?P<TEXT>\S.*?)" + OF,
        STAMP + r"(?P<OTHER>(?:weak algorithms|address|CRYPTO_PKI|data plane).*?)" + OF,
    ],
    "debugging": [
        r"Cryptographic Subsystem:",
        r"  Crypto (?P<FACILITY>ISAKMP|IPSEC|Engine|PKI Trans) debugging is on(?:, peer (?P<PEER>\S+))?(?: \((?P<LEFT_OUT>\d+)"
        r" lines? left out\))?",
    ],
    "keys": [
        r"Key name: (?P<NAME>\S+)",
        r"Key address: (?P<ADDRESS>\S+)",
        r"\s*Key usage: (?P<USAGE>general purpose|signatures only)",
        r"\s*Key source: (?P<SOURCE>manually entered|certificate)",
        r"\s*Key data:",
        r"\s*(?P<DATA>(?:[0-9A-F]{8} )*[0-9A-F]{1,8})",
    ],
    "maps": [
        r"Crypto Map (?P<TEMPLATE>Template)?\s?\"(?P<TAG>[^\"]+)\" (?P<NUMBER>\d+)(?: ipsec-isakmp)?",
        r"\s+Peer = (?P<PEER>\S+)",
        r"\s+Extended IP access list (?P<LIST>\S+)",
        r"\s+access-list (?P<ENTRY_LIST>\S+) permit (?P<PERMIT>.*)",
        r"\s+Current peer: (?P<CURRENT_PEER>\S+)",
        r"\s+Security association lifetime: (?P<KILOBYTES>\d+) kilobytes/(?P<SECONDS>\d+) seconds",
        r"\s+PFS \(Y/N\): (?P<PFS>[YN])",
        r"\s+DH group:\s+(?P<GROUP>\S+)",
        r"\s+Transform sets=\{",
        r"\s+(?P<SET>\S+): (?P<TRANSFORMS>\{.*\}) ,",
        r"\s+\}",
    ],
    "proposals": [
        r"Transform proposal (?P<NAME>[^:]+):(?P<TRANSFORMS>(?: \{ [^}]+ \})+)",
        r"\s+supported settings = \{ Tunnel, Transport,\s+\},",
        r"\s+default settings = \{ (?P<DEFAULT>Tunnel|Transport),\s+\},",
        r"\s+will negotiate = \{ (?P<NEGOTIATE>Tunnel|Transport),\s+\},",
    ],
}


def main():
    patterns = KINDS[sys.argv[1]]
    for number, line in enumerate(sys.stdin.read().splitlines(), 1):
        line = line.rstrip()
        if not line:
            continue
        match = next(filter(None, (re.fullmatch(pattern, line) for pattern in patterns)), None)
        if match is None:
            sys.exit(f"ios_words: {sys.argv[1]}, line {number} is not as IOS prints it: {line!r}")
        fields = {key: value for key, value in match.groupdict().items() if value is not None}
        if fields:
            print(json.dumps(fields))


main()
