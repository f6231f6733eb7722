#!/usr/bin/env python3
"""Makes DER of the dumps in this folder: rebuild.py DUMP.txt > DUMP.der

The dumps (dumpasn1's form) leave out the ends of long strings; zeros stand for them. So structure, names, attributes and
lengths are the published ones; signatures do not verify and nothing decrypts.
"""
import re
import sys

LINE = re.compile(r"^ *(\d+) +(\d+): ( *)(.*)$")
MORE = re.compile(r"^ *: ( *)(.*)$")
TAGS = {"SEQUENCE": 0x30, "SET": 0x31, "INTEGER": 2, "BIT STRING": 3, "OCTET STRING": 4, "NULL": 5, "OBJECT IDENTIFIER": 6,
        "BOOLEAN": 1, "UTF8String": 12, "PrintableString": 19, "IA5String": 22, "UTCTime": 23}


def tlv(tag, body):
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def oid(numbers):
    out = [numbers[0] * 40 + numbers[1]]
    for number in numbers[2:]:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        out += reversed(digits)
    return bytes(out)


class Node:
    def __init__(self, depth, size, text):
        self.depth, self.size, self.text, self.children = depth, size, text, []

    def value(self, kind, rest):
        """The content of a primitive, cut or filled to the length the dump gives."""
        if kind == "OBJECT IDENTIFIER":
            return oid([int(n) for n in re.search(r"\(([\d ]+)\)", rest).group(1).split()])
        if kind in ("PrintableString", "UTF8String", "IA5String"):
            return re.sub(r"'\s*'", "", rest).strip()[1:-1].encode()[:self.size].ljust(self.size)
        if kind == "UTCTime":
            day, month, year, clock = re.match(r"(\d+)/(\d+)/\d\d(\d\d) ([\d:]+)", rest).groups()
            return (year + month + day + clock.replace(":", "") + "Z").encode()
        if kind == "BOOLEAN":
            return b"\xff"
        if kind == "INTEGER" and re.fullmatch(r"\d+", rest) and int(rest).bit_length() <= 8 * self.size:
            return int(rest).to_bytes(self.size, "big")
        if kind == "BIT STRING" and (bits := re.search(r"'([01]+)'B", rest)):
            value, count = int(bits.group(1)[::-1], 2), len(bits.group(1))
            return bytes([(8 - count % 8) % 8]) + (value << ((8 - count % 8) % 8)).to_bytes((count + 7) // 8, "big")
        digits = "".join(re.findall(r"\b[0-9A-F]{2}\b", re.sub(r"\[ Another.*?\]", "", rest)))
        data = bytes.fromhex(digits)
        if kind == "BIT STRING":
            data = b"\0" + data
        return data[:self.size].ljust(self.size, b"\0")

    def der(self):
        text = self.text.strip()
        if context := re.match(r"\[(\d+)\]", text):
            if self.children:
                return tlv(0xA0 | int(context.group(1)), b"".join(child.der() for child in self.children))
            return tlv(0x80 | int(context.group(1)), self.value("OCTET STRING", text[context.end():]))
        kind = next(name for name in TAGS if text.startswith(name))
        body = b"".join(child.der() for child in self.children)
        if kind in ("SEQUENCE", "SET"):
            return tlv(TAGS[kind], body)
        if "encapsulates" in text:
            return tlv(TAGS[kind], b"\0" + body if kind == "BIT STRING" else body)
        return tlv(TAGS[kind], self.value(kind, text[len(kind):].strip()))


def parse(lines):
    root, stack = None, []
    for line in lines:
        if start := LINE.match(line):
            node = Node(len(start.group(3)), int(start.group(2)), start.group(4))
            while stack and stack[-1].depth >= node.depth:
                stack.pop()
            if stack:
                stack[-1].children.append(node)
            else:
                root = node
            stack.append(node)
            last = node
        elif (more := MORE.match(line)) and more.group(2).strip() not in ("}", ""):
            last.text += " " + more.group(2)
    return root.der()


if __name__ == "__main__":
    sys.stdout.buffer.write(parse(open(sys.argv[1], encoding="ascii")))
