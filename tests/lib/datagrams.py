#!/usr/bin/env python3
"""Hostile datagrams for tests/net/datagrams.sh, sent by a raw socket, so that their source may be anybody's.

datagrams.py replay PCAP            every IPv4 packet of the capture again, forwards, then backwards
datagrams.py truncate PCAP          each cut at many lengths
datagrams.py alter PCAP             each with a byte changed, at each position
datagrams.py garbage SOURCE DEST    random bytes, random ISAKMP headers, both ports, protocol 50
datagrams.py forge PCAP             unprotected Informational messages with the cookies of the exchanges in it
datagrams.py flood PCAP DEST        the capture's first message with 2000 cookies, its own source and others
"""
import random
import socket
import struct
import sys
import time

RATE = 5000  # packets a second: more than the network could hold would be dropped, not tried
ISAKMP_HEADER = 28
INFORMATIONAL = 5
DELETE, NOTIFY = 12, 11


def packets(path):
    """The IPv4 packets of an Ethernet capture: (source, destination, protocol, payload)."""
    with open(path, "rb") as stream:
        data = stream.read()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    offset = 24
    while offset + 16 <= len(data):
        length = struct.unpack(order + "I", data[offset + 8:offset + 12])[0]
        frame = data[offset + 16:offset + 16 + length]
        offset += 16 + length
        if frame[12:14] != b"\x08\x00":
            continue
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        total = struct.unpack(">H", packet[2:4])[0]
        yield packet[12:16], packet[16:20], packet[9], packet[header:total]


class Sender:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.sent = 0
        self.start = time.monotonic()

    def ip(self, source, destination, protocol, payload):
        header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, destination)
        self.socket.sendto(header + payload, (socket.inet_ntoa(destination), 0))
        self.sent += 1
        ahead = self.sent / RATE - (time.monotonic() - self.start)
        if ahead > 0.01:
            time.sleep(ahead)

    def udp(self, source, destination, ports, data):
        self.ip(source, destination, 17, struct.pack(">HHHH", ports[0], ports[1], 8 + len(data), 0) + data)


def resized(protocol, payload, data):
    """A UDP payload with other data has another length and no checksum."""
    if protocol != 17:
        return data
    return payload[:4] + struct.pack(">HH", 8 + len(data), 0) + data


def body(protocol, payload):
    return payload[8:] if protocol == 17 else payload


def replay(send, path):
    all_of_them = list(packets(path))
    for packet in all_of_them + all_of_them[::-1]:
        send.ip(*packet)


def truncate(send, path):
    for source, destination, protocol, payload in packets(path):
        data = body(protocol, payload)
        for length in range(len(data)):
            send.ip(source, destination, protocol, resized(protocol, payload, data[:length]))


def alter(send, path):
    for source, destination, protocol, payload in packets(path):
        data = body(protocol, payload)
        for position in range(len(data)):
            other = bytearray(data)
            other[position] ^= random.choice([0x01, 0x80, 0xff])
            send.ip(source, destination, protocol, resized(protocol, payload, bytes(other)))


def garbage(send, source, destination):
    source, destination = socket.inet_aton(source), socket.inet_aton(destination)
    for length in list(range(64)) + [random.randrange(64, 1400) for _ in range(500)]:
        data = random.randbytes(length)
        for port in (500, 4500):
            send.udp(source, destination, (port, port), data)
        send.udp(source, destination, (4500, 4500), bytes(4) + data)
        send.ip(source, destination, 50, data)
        isakmp = random.randbytes(16) + struct.pack(">BBBBII", random.randrange(25), 0x10, random.choice([1, 2, 4, 5, 32, 33]),
                                                    random.randrange(8), random.getrandbits(32), ISAKMP_HEADER + len(data))
        send.udp(source, destination, (500, 500), isakmp + data)
        claims = isakmp[:24] + struct.pack(">I", random.getrandbits(32))
        send.udp(source, destination, (500, 500), claims + data)


def isakmp_messages(path):
    """(source, destination, ports, message) of every ISAKMP message, the non-ESP marker taken off."""
    for source, destination, protocol, payload in packets(path):
        if protocol != 17:
            continue
        ports = struct.unpack(">HH", payload[:4])
        data = payload[8:]
        if 4500 in ports:
            if data[:4] != bytes(4):
                continue
            data = data[4:]
        if len(data) >= ISAKMP_HEADER:
            yield source, destination, ports, data


def forge(send, path):
    for source, destination, ports, message in isakmp_messages(path):
        cookies = message[:16]
        spi = random.randbytes(4)
        bodies = [
            (DELETE, struct.pack(">IBBH", 1, 1, 16, 1) + cookies),
            (DELETE, struct.pack(">IBBH", 1, 3, 4, 1) + spi),
            (NOTIFY, struct.pack(">IBBH", 1, 1, 16, 24578) + cookies),  # INITIAL-CONTACT
            (NOTIFY, struct.pack(">IBBH", 1, 1, 0, 14)),                # NO-PROPOSAL-CHOSEN
            (NOTIFY, struct.pack(">IBBH", 1, 3, 4, 11) + spi),          # INVALID-SPI
            (NOTIFY, struct.pack(">IBBH", 1, 1, 0, 24)),                # AUTHENTICATION-FAILED
        ]
        for kind, content in bodies:
            for flags in (0, 1, 4):
                payload = struct.pack(">BBH", 0, 0, 4 + len(content)) + content
                header = cookies + struct.pack(">BBBBII", kind, 0x10, INFORMATIONAL, flags, random.getrandbits(32) or 1,
                                               ISAKMP_HEADER + len(payload))
                data = header + payload
                send.udp(source, destination, ports, (bytes(4) if 4500 in ports else b"") + data)


def flood(send, path, destination):
    source, _, ports, first = next(isakmp_messages(path))
    destination = socket.inet_aton(destination)
    for number in range(2000):
        message = random.randbytes(8) + first[8:]
        sender = source if number % 2 else struct.pack(">I", 0xcb007100 | random.randrange(1, 254))  # 203.0.113.0/24
        send.udp(sender, destination, ports, message)


def main():
    random.seed(1)
    send = Sender()
    {"replay": replay, "truncate": truncate, "alter": alter, "garbage": garbage, "forge": forge,
     "flood": flood}[sys.argv[1]](send, *sys.argv[2:])
    if send.sent == 0:
        sys.exit("nothing was sent: the capture is empty")
    print(f"{send.sent} packets")


main()
