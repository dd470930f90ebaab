"""A client of libnbd that does one thing after another on one connection, and prints a line of JSON for each.

    client.py URI SECONDS

Three copies of the whole export, in requests of 256 KiB, 16 at a time: {"copy": MB a second}. Then random reads of 4 KiB
for so many seconds, one and 16 at a time: {"random": reads a second, "depth": 1}. Then it stays connected until standard
input ends.
"""
import json
import random
import sys
import time
import nbd

REQUEST = 1 << 18
BLOCK = 4096

uri, seconds = sys.argv[1], float(sys.argv[2])
client = nbd.NBD()
client.connect_uri(uri)
size = client.get_size()


def read(requests, depth):
    """Reads what `requests` yields, so many at a time, into buffers that are used again. Returns the bytes."""
    spare = [nbd.Buffer(REQUEST) for _ in range(depth)]
    flying = {}
    total = 0
    for offset, length in requests:
        if not spare:
            total += settle(flying, spare)
        buffer = spare.pop()
        buffer = buffer if len(buffer) == length else nbd.Buffer(length)
        flying[client.aio_pread(buffer, offset)] = (buffer, length)
    while flying:
        total += settle(flying, spare)
    return total


def settle(flying, spare):
    """Waits until at least one request is done. Returns the bytes of those that are."""
    total = 0
    while total == 0:
        while flying and (cookie := client.aio_peek_command_completed()) > 0:
            client.aio_command_completed(cookie)
            buffer, length = flying.pop(cookie)
            spare.append(buffer)
            total += length
        if total == 0:
            client.poll(-1)
    return total


def whole():
    return ((offset, min(REQUEST, size - offset)) for offset in range(0, size, REQUEST))


def anywhere(until):
    while time.monotonic() < until:
        yield random.randrange(size // BLOCK) * BLOCK, BLOCK


def timed(requests, depth):
    start = time.monotonic()
    total = read(requests, depth)
    return total / (time.monotonic() - start)


for _ in range(3):
    print(json.dumps({"copy": timed(whole(), 16) / 1e6}), flush=True)
for depth in (1, 16):
    rate = timed(anywhere(time.monotonic() + seconds), depth) / BLOCK
    print(json.dumps({"random": rate, "depth": depth}), flush=True)
sys.stdin.read()
client.shutdown()
