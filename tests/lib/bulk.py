#!/usr/bin/env python3
"""One TCP stream with a checkable content.

bulk.py serve ADDRESS PORT-FILE      accepts one connection, prints the SHA-256 of all it carried; its port in PORT-FILE
bulk.py send ADDRESS PORT MEGABYTES  sends pseudo-random bytes, prints their SHA-256
"""
import hashlib
import random
import socket
import sys

CHUNK = 1 << 16


def serve(address, port_file):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        with open(port_file, "w", encoding="ascii") as stream:
            stream.write(str(server.getsockname()[1]))
        connection, _ = server.accept()
        digest = hashlib.sha256()
        with connection:
            while data := connection.recv(CHUNK):
                digest.update(data)
            connection.sendall(b"k")
    print(digest.hexdigest())


def send(address, port, megabytes):
    digest = hashlib.sha256()
    source = random.Random(megabytes)
    with socket.create_connection((address, port), timeout=30) as connection:
        for _ in range((megabytes << 20) // CHUNK):
            data = source.randbytes(CHUNK)
            digest.update(data)
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    print(digest.hexdigest())


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3])
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
