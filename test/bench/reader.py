"""
Reads an export one request after the other, as a program does that waits for each answer:

    reader.py URI sequential|random BYTES-A-READ SECONDS

for so many seconds, or to the end, and prints what it saw as JSON: bytes, seconds, and the time of each read in milliseconds
at half, and at 99 of 100, of them.
"""

import json
import random
import sys
import time

import nbd

uri, order, length, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
h = nbd.NBD()
h.connect_uri(uri)
size = h.get_size()
random.seed(1)
times = []
start = time.monotonic()
at = 0
while at + length <= size:
    before = time.monotonic()
    if before - start > limit:
        break
    offset = at if order == "sequential" else random.randrange(size // length) * length
    assert len(h.pread(length, offset)) == length
    times.append((time.monotonic() - before) * 1000)
    if order == "sequential":
        at += length
seconds = time.monotonic() - start
times.sort()
print(
    json.dumps(
        {
            "bytes": len(times) * length,
            "seconds": seconds,
            "half": times[len(times) // 2],
            "p99": times[len(times) * 99 // 100],
        }
    )
)
h.shutdown()
