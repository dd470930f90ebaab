"""What a client may not ask for, and what may look so, with libnbd's own checks switched off.

    forbidden.py options|read-only|writable|aligned URI
    forbidden.py options|read-only|writable COMMAND...

Prints each case and its outcome as JSON: "ok", or the name of the errno. After each the session must go on."""

import errno
import json
import sys
import nbd

UNKNOWN_FLAG = 1 << 6
MIB = 1 << 20
LONGEST = 0xFFFFFFFF
part, server = sys.argv[1], sys.argv[2:]
outcomes = {}


def open_handle(options=False, contexts=(nbd.CONTEXT_BASE_ALLOCATION,), structured=True):
    h = nbd.NBD()
    h.set_strict_mode(0)
    h.set_opt_mode(options)
    h.set_request_structured_replies(structured)
    for context in contexts:
        h.add_meta_context(context)
    if len(server) == 1:
        h.connect_uri(server[0])
    else:
        h.connect_command(server)
    return h


def outcome(what):
    try:
        what()
        return "ok"
    except nbd.Error as error:
        return errno.errorcode.get(error.errnum, error.errnum)


def told(h, length, offset, flags=0):
    """The outcome, and whether what was told covers no more than what was asked about."""
    extents = []
    h.block_status(length, offset, lambda context, at, entries, error: extents.extend(entries), flags)
    assert 0 < sum(extents[::2]) <= length, extents
    if flags & nbd.CMD_FLAG_REQ_ONE:
        assert len(extents) == 2, extents


def commands(h, cases):
    for name, what in cases.items():
        outcomes[name] = outcome(what)
        assert len(h.pread(512, 0)) == 512, name
    h.shutdown()


def options():
    h = open_handle(options=True)
    names = []

    def ask(name, what):
        outcomes[name] = outcome(what)

    h.set_export_name("another")
    ask("INFO of an unknown export", h.opt_info)
    ask("GO of an unknown export", h.opt_go)
    ask("GO of an unknown export, again", h.opt_go)
    ask("LIST after it", lambda: h.opt_list(lambda name, description: names.append(name)))
    assert len(names) == 1, names
    # This libnbd has a SET_META_CONTEXT before each INFO and GO.
    h.set_export_name(names[0])
    ask("INFO of the export's own name", h.opt_info)
    assert h.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    h.clear_meta_contexts()
    h.add_meta_context("other:context")
    ask("SET_META_CONTEXT again, of one that there is not", h.opt_info)
    assert not h.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    h.clear_meta_contexts()
    h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    h.add_meta_context("other:context")
    h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    ask("LIST_META_CONTEXT", lambda: h.opt_list_meta_context(names.append))
    assert names[1:] == [nbd.CONTEXT_BASE_ALLOCATION], names
    ask("a command before GO, which libnbd does not send", lambda: h.pread(512, 0))
    ask("GO after all that", h.opt_go)
    ask("INFO after GO, which libnbd does not send", h.opt_info)
    ask("BLOCK_STATUS of what was selected last", lambda: told(h, 512, 0))
    h.shutdown()
    h = open_handle(options=True)
    ask("ABORT", h.opt_abort)


def reading(h):
    size = h.get_size()
    return {
        "READ of the last byte": lambda: h.pread(1, size - 1),
        "READ of nothing": lambda: h.pread(0, 0),
        "READ across the end": lambda: h.pread(2, size - 1),
        "READ behind the end": lambda: h.pread(1, size),
        "READ at 2^63": lambda: h.pread(1, 1 << 63),
        "READ at 2^64 - 1": lambda: h.pread(1, (1 << 64) - 1),
        "READ of 32 MiB": lambda: h.pread(32 * MIB, 0),
        "READ of 32 MiB and a byte": lambda: h.pread(32 * MIB + 1, 0),
        "READ of 64 MiB": lambda: h.pread(64 * MIB, 0),
        "READ with an unknown flag": lambda: h.pread(512, 0, UNKNOWN_FLAG),
        "READ with DF": lambda: h.pread(512, 0, nbd.CMD_FLAG_DF),
        "READ with NO_HOLE": lambda: h.pread(512, 0, nbd.CMD_FLAG_NO_HOLE),
        "READ with REQ_ONE": lambda: h.pread(512, 0, nbd.CMD_FLAG_REQ_ONE),
        "READ with FUA": lambda: h.pread(512, 0, nbd.CMD_FLAG_FUA),
        "CACHE": lambda: h.cache(512, 0),
        "BLOCK_STATUS of 4 GiB - 1": lambda: told(h, LONGEST, 0),
        "BLOCK_STATUS of 4 GiB - 1 to the end": lambda: told(h, LONGEST, size - LONGEST),
        "BLOCK_STATUS of 4 GiB - 1 across the end": lambda: told(h, LONGEST, size - LONGEST + 1),
        "BLOCK_STATUS with REQ_ONE": lambda: told(h, LONGEST, 0, nbd.CMD_FLAG_REQ_ONE),
        "BLOCK_STATUS of nothing": lambda: told(h, 0, 0),
        "BLOCK_STATUS across the end": lambda: told(h, 2, size - 1),
        "BLOCK_STATUS with DF": lambda: told(h, 512, 0, nbd.CMD_FLAG_DF),
    }


def writing(h):
    size = h.get_size()
    return {
        "WRITE": lambda: h.pwrite(b"x" * 512, 0),
        "WRITE of the last byte, with FUA": lambda: h.pwrite(b"x", size - 1, nbd.CMD_FLAG_FUA),
        "WRITE of nothing": lambda: h.pwrite(b"", 0),
        "WRITE across the end": lambda: h.pwrite(b"xx", size - 1),
        "WRITE at 2^64 - 1": lambda: h.pwrite(b"x", (1 << 64) - 1),
        "WRITE of 32 MiB": lambda: h.pwrite(bytes(32 * MIB), 0),
        "WRITE of 32 MiB and a byte": lambda: h.pwrite(bytes(32 * MIB + 1), 0),
        "WRITE with an unknown flag": lambda: h.pwrite(b"x" * 512, 0, UNKNOWN_FLAG),
        "WRITE with NO_HOLE": lambda: h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_NO_HOLE),
        "FLUSH": h.flush,
        "FLUSH with an unknown flag": lambda: h.flush(UNKNOWN_FLAG),
        "TRIM": lambda: h.trim(512, 0),
        "TRIM with FUA": lambda: h.trim(512, 0, nbd.CMD_FLAG_FUA),
        "TRIM with FAST_ZERO": lambda: h.trim(512, 0, nbd.CMD_FLAG_FAST_ZERO),
        "TRIM of 4 GiB - 1": lambda: h.trim(LONGEST, size - LONGEST),
        "TRIM across the end": lambda: h.trim(512, size - 1),
        "WRITE_ZEROES": lambda: h.zero(512, 0),
        "WRITE_ZEROES of 4 GiB - 1": lambda: h.zero(LONGEST, size - LONGEST),
        "WRITE_ZEROES with each flag": lambda: h.zero(
            512, 0, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO
        ),
        "WRITE_ZEROES with DF": lambda: h.zero(512, 0, nbd.CMD_FLAG_DF),
        "WRITE_ZEROES across the end": lambda: h.zero(512, size - 1),
    }


def unaligned(h):
    return {
        "READ of half a block": lambda: h.pread(256, 0),
        "READ from the middle of a block": lambda: h.pread(512, 256),
        "WRITE of half a block": lambda: h.pwrite(b"x" * 256, 0),
        "WRITE from the middle of a block": lambda: h.pwrite(b"x" * 512, 256),
        "TRIM of half a block": lambda: h.trim(256, 0),
        "WRITE_ZEROES of half a block": lambda: h.zero(256, 0),
        "BLOCK_STATUS of half a block": lambda: told(h, 256, 0),
        "WRITE of a block": lambda: h.pwrite(b"x" * 512, 0),
    }


if part == "options":
    options()
elif part == "aligned":
    h = open_handle()
    commands(h, unaligned(h))
else:
    h = open_handle()
    commands(h, {**reading(h), **writing(h)})
    h = open_handle(structured=False)
    simple = {"READ with DF": lambda: h.pread(512, 0, nbd.CMD_FLAG_DF), "BLOCK_STATUS": lambda: told(h, 512, 0)}
    commands(h, {f"{name}, with simple replies": what for name, what in simple.items()})
print(json.dumps(outcomes))
