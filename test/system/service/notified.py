"""A service manager's end of sd_notify(3): prints each message that comes to a socket as a line of JSON, with the milliseconds.

    notified.py NAME      (a path, or @NAME in the abstract namespace)
"""

import json
import socket
import sys
import time

name = sys.argv[1]
listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listening.bind("\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("listening"), flush=True)
while True:
    message = listening.recv(65536).decode()
    print(json.dumps([time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, message]), flush=True)
