"""Random reads of random lengths, 64 at once on one connection, each compared with the file that is served."""

import json
import random
import sys
import nbd

URI, IMAGE, READS = sys.argv[1], sys.argv[2], int(sys.argv[3])
DEPTH, LONGEST = 64, 1 << 20

rng = random.Random(READS)
image = open(IMAGE, "rb")
size = image.seek(0, 2)
done = {"reads": 0, "bytes": 0, "deepest": 0}


def issue(h):
    # As many short ones as long ones, whatever short and long is.
    length = min(size, int(512 * (LONGEST / 512) ** rng.random()))
    offset = rng.randrange(size - length + 1)
    data = nbd.Buffer(length)

    def finish(error):
        assert error.value == 0, (offset, length, error.value)
        image.seek(offset)
        assert bytes(data.to_bytearray()) == image.read(length), ("other data", offset, length)
        done["reads"] += 1
        done["bytes"] += length
        return 1

    h.aio_pread(data, offset, completion=finish)


h = nbd.NBD()
h.connect_uri(URI)
left = READS
while left or h.aio_in_flight():
    while left and h.aio_in_flight() < DEPTH:
        issue(h)
        left -= 1
    done["deepest"] = max(done["deepest"], h.aio_in_flight())
    h.poll(-1)
h.shutdown()
assert done["deepest"] == min(DEPTH, READS), done
print(json.dumps(done))
