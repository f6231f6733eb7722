#!/usr/bin/env python3
"""UDP datagrams in vectors that the kernel is given whole (UDP_SEGMENT, linux/udp.h), with a checkable content.

datagram_vectors.py serve ADDRESS PORT-FILE   prints the SHA-256 of the datagrams that came, each with its length
datagram_vectors.py send ADDRESS PORT         sends them, one vector after the other's answer, prints their SHA-256
"""
import hashlib
import random
import socket
import sys

UDP_SEGMENT = 103
# (bytes of a datagram, datagrams, bytes of the last): of every size that makes a difference
VECTORS = [(1300, 40, 77), (64, 60, 64), (1, 50, 1), (1200, 3, 1199), (500, 64, 500), (999, 33, 1)] * 5


def open_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def add(digest, data):
    digest.update(len(data).to_bytes(2, "big") + data)


def serve(address, port_file):
    digest = hashlib.sha256()
    with open_socket(address) as sock:
        sock.bind((address, 0))
        with open(port_file, "w", encoding="ascii") as stream:
            stream.write(str(sock.getsockname()[1]))
        for _, count, _ in VECTORS:
            for _ in range(count):
                data, sender = sock.recvfrom(65535)
                add(digest, data)
            sock.sendto(b"k", sender)
    print(digest.hexdigest())


def send(address, port):
    digest = hashlib.sha256()
    source = random.Random(1)
    with open_socket(address) as sock:
        sock.settimeout(30)
        sock.connect((address, port))
        for size, count, last in VECTORS:
            datagrams = [source.randbytes(size) for _ in range(count - 1)] + [source.randbytes(last)]
            for data in datagrams:
                add(digest, data)
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
            sock.send(b"".join(datagrams))
            sock.recv(1)
    print(digest.hexdigest())


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3])
else:
    send(sys.argv[2], int(sys.argv[3]))
