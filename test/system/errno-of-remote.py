"""Each command must fail with this errno, and none must end the session: errno-of-remote.py URI ERRNO COMMAND..."""

import errno
import sys
import nbd

h = nbd.NBD()
h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
h.connect_uri(sys.argv[1])
commands = {
    "pread": lambda: h.pread(512, 0),
    "pwrite": lambda: h.pwrite(b"x" * 512, 0),
    "trim": lambda: h.trim(512, 0),
    "zero": lambda: h.zero(512, 0),
    "extents": lambda: h.block_status(512, 0, lambda *_: 0),
    "flush": lambda: h.flush(),
}
for name in sys.argv[3:]:
    try:
        commands[name]()
    except nbd.Error as error:
        assert error.errnum == getattr(errno, sys.argv[2]), (name, error)
    else:
        raise AssertionError(f"{name} did not fail")
h.shutdown()
