#!/usr/bin/env python3
"""Turns what network devices do for the kernel on or off: checksums, segmentation and its undoing.

offload.py on|off DEVICE...  as `ethtool -K DEVICE rx ... tx ... tso ... gso ... gro ...` does (linux/ethtool.h)
"""
import ctypes
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
SETTINGS = {"rx": 0x15, "tx": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


def change(device, command, value):
    setting = ctypes.create_string_buffer(struct.pack("II", command, value))
    request = struct.pack("16sP16x", device.encode(), ctypes.addressof(setting))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control.fileno(), SIOCETHTOOL, request)


for name in sys.argv[2:]:
    # Checksums last when they go: segmentation goes with them, and may not be turned off any more then.
    for which in ("gro", "gso", "tso", "rx", "tx"):
        try:
            change(name, SETTINGS[which], int(sys.argv[1] == "on"))
        except OSError as error:
            if which in ("gro", "gso", "tx"):
                sys.exit(f"{name}: {which}: {error}")
