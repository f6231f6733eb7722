#!/usr/bin/env python3
"""typed.py PROMPT COMMAND...: runs a command on a terminal of its own and types the lines of standard input into it, each
when the prompt has come (\\t, \\x03 and the like stand for keys). Prints what the terminal showed; ends as the command does."""
import os
import pty
import select
import sys
import termios
import time


def main():
    prompt = sys.argv[1].encode()
    lines = [line.rstrip("\n").encode().decode("unicode_escape").encode() for line in sys.stdin]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "vt100"
        os.execvp(sys.argv[2], sys.argv[2:])
    shown = b""
    seen = 0
    end = time.monotonic() + 30
    while time.monotonic() < end:
        at = shown.find(prompt, seen) if lines else -1
        # The prompt comes a moment before libedit takes the keys: until then Ctrl-C would throw away what is typed.
        if at >= 0 and not termios.tcgetattr(terminal)[3] & termios.ICANON:
            seen = at + len(prompt)
            os.write(terminal, lines.pop(0) + b"\r")
            at = -1
        if not select.select([terminal], [], [], 0.02 if at >= 0 else 1)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        shown += piece
        end = time.monotonic() + 30
    os.close(terminal)  # whoever still waits is hung up on
    sys.stdout.buffer.write(shown)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


sys.exit(main())
