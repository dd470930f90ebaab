"""A random mix of reads, writes, zeroes and trims on four connections, each 64 deep, in blocks next to each other.

Each block belongs to one connection and has one command in flight; every read is compared with what the block must
have. What is trimmed must read as zeroes, as it does where a file has holes."""

import json
import random
import sys
import nbd

URI, COMMANDS = sys.argv[1], int(sys.argv[2])
CONNECTIONS, DEPTH, BLOCK, BLOCKS = 4, 64, 4096, 2048

rng = random.Random(COMMANDS)
content = [None] * BLOCKS
busy = set()
done = {"pread": 0, "pwrite": 0, "zero": 0, "trim": 0}


def issue(h, number):
    """Sends one command for a block of this connection that has none in flight."""
    block = rng.randrange(BLOCKS // CONNECTIONS) * CONNECTIONS + number
    if block in busy:
        return False
    what = rng.choice(("pread", "pread", "pwrite", "pwrite", "zero", "trim"))
    fua = nbd.CMD_FLAG_FUA if rng.random() < 0.02 else 0
    offset = block * BLOCK
    data = nbd.Buffer.from_bytearray(bytearray(rng.randbytes(BLOCK))) if what == "pwrite" else nbd.Buffer(BLOCK)

    def finish(error):
        assert error.value == 0, (what, block, error.value)
        busy.remove(block)
        done[what] += 1
        if what == "pread":
            got = bytes(data.to_bytearray())
            assert content[block] in (None, got), ("other data", block)
            content[block] = got
        else:
            content[block] = bytes(data.to_bytearray()) if what == "pwrite" else bytes(BLOCK)
        return 1

    busy.add(block)
    if what == "pread":
        h.aio_pread(data, offset, completion=finish)
    elif what == "pwrite":
        h.aio_pwrite(data, offset, completion=finish, flags=fua)
    elif what == "zero":
        h.aio_zero(BLOCK, offset, completion=finish, flags=fua)
    else:
        h.aio_trim(BLOCK, offset, completion=finish, flags=fua)
    return True


handles = [nbd.NBD() for _ in range(CONNECTIONS)]
for h in handles:
    h.connect_uri(URI)
    assert h.can_multi_conn() and h.can_trim() and h.can_zero()
left = [COMMANDS // CONNECTIONS] * CONNECTIONS
deepest = 0
while any(left) or busy:
    for number, h in enumerate(handles):
        while left[number] and h.aio_in_flight() < DEPTH:
            left[number] -= issue(h, number)
        deepest = max(deepest, h.aio_in_flight())
        h.poll(0 if any(left) else 100)

# A flush on one connection covers what all have written; each reads what another has written.
handles[0].flush()
for block, expected in enumerate(content):
    if expected is not None:
        assert handles[(block + 1) % CONNECTIONS].pread(BLOCK, block * BLOCK) == expected, block
for h in handles:
    h.shutdown()
assert deepest == DEPTH, deepest
print(json.dumps(done))
