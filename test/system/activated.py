"""Starts a program as systemd does, with sockets that listen already: FOLDER/0.sock and FOLDER/1.sock.

    activated.py FOLDER LISTEN_FDS KIND COMMAND...     (KIND: "sockets", or "files", which do not listen)

The variable MODE may have their mode, in octal digits, and NAMES their names.
"""

import os
import socket
import sys

folder, listen_fds, kind, *command = sys.argv[1:]
opened = []
for i in range(2):
    if kind == "files":
        opened.append(os.open("/dev/null", os.O_RDONLY))
        continue
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{folder}/{i}.sock")
    if "MODE" in os.environ:
        os.chmod(f"{folder}/{i}.sock", int(os.environ["MODE"], 8))
    listening.listen()
    opened.append(listening.detach())
# Out of the way first: one of them may be in another's place.
away = [os.dup2(fd, 20 + i) for i, fd in enumerate(opened)]
for i, fd in enumerate(away):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=listen_fds)
if "NAMES" in os.environ:
    os.environ.update(LISTEN_FDNAMES=os.environ["NAMES"])
os.execvp(command[0], command)
