#!/usr/bin/env python3
"""One end of Main Mode by RSA signatures (RFC 2409 section 5.1), for signatures that no proper gateway sends.

main_mode.py initiate|respond OWN-ADDRESS PEER-ADDRESS CERTIFICATE KEY...

It offers, or takes, aes-256 sha256 group 14 rsa-sig, and proves itself by CERTIFICATE (DER) and a signature with each KEY
(PEM) in turn: a key that is not the certificate's makes a signature that does not verify. `established` is printed when the peer
goes on (message 6, Quick Mode), `refused` when it does not. It does not look at what proves the peer.
"""
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import sys
import time

WAIT = 5.0       # seconds for what must come
REFUSED = 2.0    # for what must not
SA, KE, ID, CERT, SIG, NONCE, VENDOR = 1, 4, 5, 6, 9, 10, 13
MAIN_MODE, QUICK_MODE = 2, 32
ENCRYPTED = 1
PRIME = int(  # group 14, RFC 3526 section 3
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF", 16)
OFFER = bytes.fromhex(
    "00000001 00000001 0000002c 01010001 00000024 01010000"
    "80010007 800e0100 80020004 8004000e 80030003 800b0001 800c7080")


def prf(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def chain(payloads):
    """(first type, bytes) of [(type, body)]."""
    types = [kind for kind, _ in payloads] + [0]
    body = b"".join(struct.pack(">BBH", types[i + 1], 0, 4 + len(data)) + data for i, (_, data) in enumerate(payloads))
    return types[0], body


def bodies(kind, data):
    """{type: body}, the last one of each type."""
    found = {}
    while kind:
        following, _, length = struct.unpack(">BBH", data[:4])
        found[kind] = data[4:length]
        kind, data = following, data[length:]
    return found


def aes(flag, key, iv, data):
    return subprocess.run(["openssl", "enc", "-aes-256-cbc", flag, "-nopad", "-K", key.hex(), "-iv", iv.hex()], input=data,
                          check=True, stdout=subprocess.PIPE).stdout


def sign(key, digest):
    """PKCS #1 padding around the bare hash: no DigestInfo."""
    return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-pkeyopt", "rsa_padding_mode:pkcs1"], input=digest,
                          check=True, stdout=subprocess.PIPE).stdout


class End:
    def __init__(self, role, own, peer, certificate):
        self.initiator = role == "initiate"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, 500))
        self.socket.connect((peer, 500))
        with open(certificate, "rb") as stream:
            self.certificate = stream.read()
        self.id = struct.pack(">BBH", 1, 0, 0) + socket.inet_aton(own)
        self.cookies = [os.urandom(8), bytes(8)] if self.initiator else [b"", os.urandom(8)]
        self.secret = int.from_bytes(os.urandom(32), "big")
        self.ours = (pow(2, self.secret, PRIME).to_bytes(256, "big"), os.urandom(20))

    def send(self, payloads, iv=None):
        """The last block, which is the next message's IV."""
        kind, body = chain(payloads)
        if iv is not None:
            body = aes("-e", self.key, iv, body + bytes(-len(body) % 16))
        self.socket.send(b"".join(self.cookies) +
                         struct.pack(">BBBBII", kind, 0x10, MAIN_MODE, ENCRYPTED if iv else 0, 0, 28 + len(body)) + body)
        return body[-16:]

    def receive(self, wanted, wait=WAIT, iv=None):
        """The payloads of the next message that has `wanted`."""
        self.socket.settimeout(wait)
        while True:
            data = self.socket.recv(65535)
            kind, _, exchange, flags = data[16:20]
            if exchange != MAIN_MODE or (flags & ENCRYPTED != 0) != (iv is not None):
                continue
            body = data[28:] if iv is None else aes("-d", self.key, iv, data[28:])
            self.last_block = data[-16:]
            found = bodies(kind, body)
            if wanted in found:
                self.cookies = [data[:8], self.cookies[1] if data[8:16] == bytes(8) else data[8:16]]
                return found

    def agree(self):
        """Messages 1 to 4."""
        if self.initiator:
            self.offer = OFFER
            self.send([(SA, OFFER)])
            self.receive(SA)
        else:
            self.offer = self.receive(SA, 30)[SA]
            self.send([(SA, self.offer)])
        own = [(KE, self.ours[0]), (NONCE, self.ours[1])]
        if self.initiator:
            self.send(own)
        theirs = self.receive(KE)
        if not self.initiator:
            self.send(own)
        self.derive((theirs[KE], theirs[NONCE]))

    def derive(self, theirs):
        (self.ke_i, nonce_i), (self.ke_r, nonce_r) = (self.ours, theirs) if self.initiator else (theirs, self.ours)
        shared = pow(int.from_bytes(theirs[0], "big"), self.secret, PRIME).to_bytes(256, "big")
        self.skeyid = prf(nonce_i + nonce_r, shared)
        end = shared + b"".join(self.cookies)
        key_d = prf(self.skeyid, end, b"\0")
        key_a = prf(self.skeyid, key_d, end, b"\1")
        self.key = prf(self.skeyid, key_a, end, b"\2")
        self.iv = hashlib.sha256(self.ke_i + self.ke_r).digest()[:16]

    def prove(self, key, iv):
        here, there = (self.ke_i, self.ke_r) if self.initiator else (self.ke_r, self.ke_i)
        first, second = self.cookies if self.initiator else reversed(self.cookies)
        digest = prf(self.skeyid, here, there, first, second, self.offer, self.id)
        # a vendor ID of its own: else the same signature again would be the same message again
        return self.send([(ID, self.id), (CERT, b"\4" + self.certificate), (SIG, sign(key, digest)), (VENDOR, os.urandom(16))], iv)


def initiate(end, keys):
    for key in keys:
        last_block = end.prove(key, end.iv)
        try:
            end.receive(SIG, WAIT if key == keys[-1] and len(keys) > 1 else REFUSED, last_block)
            return True
        except socket.timeout:
            pass
    return False


def respond(end, keys):
    """The peer has proved itself first; when it is content it goes on with Quick Mode."""
    end.receive(SIG, WAIT, end.iv)
    iv = end.last_block
    for key in keys:
        end.prove(key, iv)
    deadline = time.monotonic() + (WAIT if len(keys) > 1 else REFUSED)
    try:
        while (left := deadline - time.monotonic()) > 0:
            end.socket.settimeout(left)
            if end.socket.recv(65535)[18] == QUICK_MODE:
                return True
    except socket.timeout:
        pass
    return False


def main():
    role, own, peer, certificate, *keys = sys.argv[1:]
    end = End(role, own, peer, certificate)
    print("ready", flush=True)
    end.agree()
    print("established" if (initiate if end.initiator else respond)(end, keys) else "refused", flush=True)


main()
