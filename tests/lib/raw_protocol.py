#!/usr/bin/env python3
"""Packets of any IP protocol, for kernels without the module that speaks it (GRE, say).

raw_protocol.py serve ADDRESS PROTOCOL READY-FILE   sends back what comes, until it is killed
raw_protocol.py ask FROM TO PROTOCOL COUNT          every one of COUNT packets is answered, or it exits with 1
"""
import os
import socket
import sys

# A GRE header (RFC 2784) for an IPv4 payload; others' receivers see bytes.
HEADER = b"\x00\x00\x08\x00"


def opened(address, protocol):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    raw.bind((address, 0))
    return raw


def body(packet):
    return packet[(packet[0] & 15) * 4:]


def serve(address, protocol, ready):
    with opened(address, protocol) as raw:
        with open(ready, "w", encoding="ascii") as stream:
            stream.write("ready")
        while True:
            packet, (sender, _) = raw.recvfrom(65535)
            raw.sendto(body(packet), (sender, 0))


def ask(source, target, protocol, count):
    with opened(source, protocol) as raw:
        raw.settimeout(1)
        for number in range(count):
            question = HEADER + number.to_bytes(2, "big") + os.urandom(200 + number)
            for _ in range(10):
                raw.sendto(question, (target, 0))
                try:
                    while body(raw.recvfrom(65535)[0]) != question:
                        pass
                    break
                except socket.timeout:
                    continue
            else:
                sys.exit(f"packet {number} was not answered")


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    ask(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
