#!/usr/bin/env python3
"""A SCEP front that decides late: PENDING until a file exists, then the server behind it issues the certificate.

    scep_front.py ADDRESS PORT UPSTREAM CA.pem CA.key APPROVED LOG CRL

GetCACaps and GetCACert go through. A PKCSReq or RenewalReq is kept, and answered PENDING, signed by the CA's key, while the
file APPROVED does not exist; so is each CertPoll. Afterwards the request that was kept goes to UPSTREAM (a server that
knows no CertPoll), and its answer's content comes back, signed for the nonce of the poll (RFC 8894 sections 3.2 and 4.4).
GetCRL is answered with the file CRL (PEM), encrypted for whoever asks, if there is one; else it goes to UPSTREAM.
LOG takes a line a message: its type and transaction; requests are kept beside it, as LOG.TRANSACTION.
"""
import base64
import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

ATTRIBUTES = "2.16.840.1.113733.1.9."
MESSAGE_TYPE, STATUS, SENDER_NONCE, RECIPIENT_NONCE, TRANSACTION = (ATTRIBUTES + n for n in ("2", "3", "5", "6", "7"))


def read(data, at=0):
    """(tag, content's begin, content's end) of the DER at `at`."""
    size, begin = data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, begin = int.from_bytes(data[begin:begin + count], "big"), begin + count
    return data[at], begin, begin + size


def children(data, begin, end):
    """[(tag, begin of the whole, content's begin, end)]."""
    out = []
    while begin < end:
        tag, content, after = read(data, begin)
        out.append((tag, begin, content, after))
        begin = after
    return out


def inside(data, node):
    return children(data, node[2], node[3])


def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def oid(text):
    numbers = [int(n) for n in text.split(".")]
    out = [numbers[0] * 40 + numbers[1]]
    for number in numbers[2:]:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        out += reversed(digits)
    return tlv(6, bytes(out))


SIGNED_DATA, DATA = oid("1.2.840.113549.1.7.2"), oid("1.2.840.113549.1.7.1")
SHA256 = tlv(0x30, oid("2.16.840.1.101.3.4.2.1"), tlv(5))
RSA = tlv(0x30, oid("1.2.840.113549.1.1.1"), tlv(5))


def signed_parts(message):
    """The children of a SignedData."""
    content_info = children(message, *read(message)[1:])
    return inside(message, inside(message, content_info[1])[0])


def attributes(message):
    """{OID's DER: the value's content} of the one signer."""
    signer = inside(message, signed_parts(message)[-1])[0]
    wrapped = next(node for node in inside(message, signer) if node[0] == 0xA0)
    out = {}
    for attribute in inside(message, wrapped):
        kind, values = inside(message, attribute)
        value = inside(message, values)[0]
        out[message[kind[1]:kind[3]]] = message[value[2]:value[3]]
    return out


def content(message):
    """The OCTET STRING that is signed, whole."""
    parts = inside(message, signed_parts(message)[2])
    return message[parts[1][2]:parts[1][3]]


def signer_certificate(message):
    """The first certificate that came with the message, DER."""
    sent = next(node for node in signed_parts(message) if node[0] == 0xA0)
    first = inside(message, sent)[0]
    return message[first[1]:first[3]]


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


class Authority:
    def __init__(self, certificate, key):
        pem = open(certificate, encoding="ascii").read().split("-----")
        self.der = base64.b64decode("".join(pem[2].split()))
        self.key = key
        fields = inside(self.der, children(self.der, *read(self.der)[1:])[0])
        serial, issuer = fields[1], fields[3]
        self.name = tlv(0x30, self.der[issuer[1]:issuer[3]], self.der[serial[1]:serial[3]])

    def cert_rep(self, status, request, octets=b""):
        """A CertRep to `request` (its attributes); `octets`: the OCTET STRING of the envelope."""
        body = octets[read(octets)[1]:] if octets else b""
        values = {
            "1.2.840.113549.1.9.3": DATA,
            "1.2.840.113549.1.9.4": tlv(4, hashlib.sha256(body).digest()),
            MESSAGE_TYPE: tlv(0x13, b"3"),
            STATUS: tlv(0x13, status),
            TRANSACTION: tlv(0x13, request[oid(TRANSACTION)]),
            RECIPIENT_NONCE: tlv(4, request[oid(SENDER_NONCE)]),
            SENDER_NONCE: tlv(4, os.urandom(16)),
        }
        signed = b"".join(sorted(tlv(0x30, oid(kind), tlv(0x31, value)) for kind, value in values.items()))
        signature = openssl("dgst", "-sha256", "-sign", self.key, data=tlv(0x31, signed))
        signer = tlv(0x30, tlv(2, b"\1"), self.name, SHA256, tlv(0xA0, signed), RSA, tlv(4, signature))
        what = tlv(0x30, DATA, tlv(0xA0, octets)) if octets else tlv(0x30, DATA)
        return tlv(0x30, SIGNED_DATA, tlv(0xA0, tlv(0x30, tlv(2, b"\1"), tlv(0x31, SHA256), what, tlv(0xA0, self.der),
                                                    tlv(0x31, signer))))


class Front(http.server.BaseHTTPRequestHandler):
    upstream, authority, approved, log, crl = "", None, "", "", ""
    lock = threading.Lock()

    def log_message(self, *arguments):
        pass

    def reply(self, body, kind="application/x-pki-message"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ask(self, message):
        request = urllib.request.Request(self.upstream + "?operation=PKIOperation", message,
                                         {"Content-Type": "application/x-pki-message"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def operation(self, message):
        request = attributes(message)
        kind, transaction = request[oid(MESSAGE_TYPE)].decode(), request[oid(TRANSACTION)].decode()
        with self.lock, open(self.log, "a", encoding="ascii") as log:
            log.write(f"{kind} {transaction}\n")
        if not transaction.isalnum():
            return self.authority.cert_rep(b"2", request)
        kept = pathlib.Path(f"{self.log}.{transaction}")
        if kind == "22":
            return self.get_crl(message, request, kept) if os.path.exists(self.crl) else self.ask(message)
        if kind != "20":
            kept.write_bytes(message)
        if not os.path.exists(self.approved) or not kept.exists():
            return self.authority.cert_rep(b"3" if kept.exists() else b"2", request)
        answer = self.ask(kept.read_bytes())
        if kind != "20":
            return answer
        status = attributes(answer)[oid(STATUS)]
        return self.authority.cert_rep(status, request, content(answer) if status == b"0" else b"")

    def get_crl(self, message, request, recipient):
        recipient.write_bytes(signer_certificate(message))
        lists = openssl("crl2pkcs7", "-in", self.crl, "-outform", "DER")
        envelope = openssl("cms", "-encrypt", "-binary", "-aes-128-cbc", "-outform", "DER", str(recipient), data=lists)
        return self.authority.cert_rep(b"0", request, tlv(4, envelope))

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if query.get("operation") == ["PKIOperation"]:
            self.reply(self.operation(base64.b64decode(query["message"][0])))
            return
        with urllib.request.urlopen(self.upstream + "?" + urllib.parse.urlencode(query, True), timeout=20) as answer:
            self.reply(answer.read(), answer.headers["Content-Type"] or "text/plain")

    def do_POST(self):
        self.reply(self.operation(self.rfile.read(int(self.headers["Content-Length"]))))


def main():
    address, port, Front.upstream, certificate, key, Front.approved, Front.log, Front.crl = sys.argv[1:]
    Front.authority = Authority(certificate, key)
    http.server.ThreadingHTTPServer((address, int(port)), Front).serve_forever()


if __name__ == "__main__":
    main()
