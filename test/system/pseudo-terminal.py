"""Runs a program in a pseudo-terminal, whose output it copies to its own.

    pseudo-terminal.py COLUMNS COMMAND...

Takes lines on standard input: "size COLUMNS"; "type HEX", bytes as from the keyboard; "stop" and "go": whether the output is taken.
On standard error it writes at last how the program has ended: "status N", or "signal N".
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

columns, *command = sys.argv[1:]


def resize(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))


child, terminal = pty.fork()
if child == 0:
    resize(0, columns)
    os.execvp(command[0], command)

isTaken = True
isOver = False
pending = b""
while not isOver:
    ready, _, _ = select.select([0, *([terminal] if isTaken else [])], [], [], 0.05)
    if terminal in ready:
        try:
            output = os.read(terminal, 1 << 16)
        except OSError:  # nobody has it open any more
            break
        os.write(1, output)
    if 0 in ready:
        received = os.read(0, 1 << 16)
        if not received:
            break
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            what, _, value = line.decode().partition(" ")
            if what == "size":
                resize(terminal, value)
            elif what == "type":
                os.write(terminal, bytes.fromhex(value))
            else:
                isTaken = what == "go"
    if not isTaken:
        isOver = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

os.close(terminal)
_, status = os.waitpid(child, 0)
if os.WIFSIGNALED(status):
    print("signal", os.WTERMSIG(status), file=sys.stderr)
else:
    print("status", os.WEXITSTATUS(status), file=sys.stderr)
