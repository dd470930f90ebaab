/** What an export does wrong is told in the process whose mistake it is. */

import { connect } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import type { Export } from "../../../src/export/export.ts";
import { cache } from "../../../src/export/filters/cache.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { nbdClient } from "../../../src/nbd/client/nbd-client.ts";
import type { RemoteExport } from "../../../src/nbd/client/remote-export.ts";
import { type NbdServerOptions, nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { listen } from "../../../src/node/session/listen.ts";
import { socketTransport } from "../../../src/node/socket.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { failure, sequence, settled } from "../../bytes.ts";

const tests = suite("onerror");

const disk = (changes: object = {}): Export => ({ ...memoryExport(sequence(8192)), ...changes });

/** Serves an export to a client, for as long as it is used. */
async function using(
  target: Export,
  options: NbdServerOptions,
  use: (remote: Required<RemoteExport>) => Promise<unknown>,
): Promise<void> {
  const [a, b] = transportPair();
  const served = join(a, nbdServer(target, options));
  const remote = await nbdClient(b);
  await use(remote as Required<RemoteExport>);
  await remote.close();
  await served;
}

const rejecting = (error: unknown) => async () => {
  throw error;
};
const read = (remote: Required<RemoteExport>) => remote.read(4096, 4096);
const status = (remote: Required<RemoteExport>) => remote.extents(0, 8192);

/** What an export does, what it is asked for, and what is said of that; and whether the client gets an error. */
const mistakes: [string, Export, (remote: Required<RemoteExport>) => Promise<unknown>, string, string][] = [
  [
    "a read that throws",
    disk({
      read() {
        throw new TypeError("x is not defined");
      },
    }),
    read,
    "READ",
    "x is not defined",
  ],
  ["a read that rejects", disk({ read: rejecting(new Error("no route")) }), read, "READ", "no route"],
  ["a read that rejects with nothing", disk({ read: rejecting(undefined) }), read, "READ", "undefined"],
  ["a read that rejects with a string", disk({ read: rejecting("no route") }), read, "READ", "no route"],
  [
    "a read that is short",
    disk({ read: async () => sequence(4095) }),
    read,
    "READ",
    "read(4096, 4096) gave 4095 bytes",
  ],
  [
    "a read that is long",
    disk({ read: async () => sequence(4097) }),
    read,
    "READ",
    "read(4096, 4096) gave 4097 bytes",
  ],
  [
    "a read that gives a Blob",
    disk({ read: async () => new Blob([sequence(4096)]) }),
    read,
    "READ",
    "read(4096, 4096) gave a Blob, not a Uint8Array",
  ],
  [
    "a read that gives nothing",
    disk({ read: async () => {} }),
    read,
    "READ",
    "read(4096, 4096) gave undefined, not a Uint8Array",
  ],
  [
    "a read that gives a string",
    disk({ read: async () => "x".repeat(4096) }),
    read,
    "READ",
    `read(4096, 4096) gave ${JSON.stringify(`${"x".repeat(40)}…`)}, not a Uint8Array`,
  ],
  [
    "a read that gives an ArrayBuffer",
    disk({ read: async () => new ArrayBuffer(4096) }),
    read,
    "READ",
    "read(4096, 4096) gave an ArrayBuffer, not a Uint8Array",
  ],
  [
    "a short read below a cache",
    cache({ budget: 1 << 20 })(disk({ read: async () => sequence(3) })),
    read,
    "READ",
    "read(4096, 4096) gave 3 bytes",
  ],
  [
    "a read that fails",
    disk({ read: rejecting(new ExportError(Errno.EIO, "bad block")) }),
    read,
    "READ",
    "bad block",
  ],
  [
    "a write that throws",
    disk({ write: rejecting(new Error("no")) }),
    (remote) => remote.write(4096, sequence(4096)),
    "WRITE",
    "no",
  ],
  [
    "a disk that is full",
    disk({ write: rejecting(new ExportError(Errno.ENOSPC, "the disk is full")) }),
    (remote) => remote.write(4096, sequence(4096)),
    "WRITE",
    "the disk is full",
  ],
  [
    "a flush that throws",
    disk({ flush: rejecting(new Error("no")) }),
    (remote) => remote.flush(),
    "FLUSH",
    "no",
  ],
  ["extents that throw", disk({ extents: rejecting(new Error("no")) }), status, "BLOCK_STATUS", "no"],
  [
    "extents that are none",
    disk({ extents: async () => undefined }),
    status,
    "BLOCK_STATUS",
    "extents(0, 8192) gave undefined, not an array of extents",
  ],
  ...[0, -1, 0.5, Number.NaN, undefined].map((length): (typeof mistakes)[number] => [
    `an extent of ${length} bytes`,
    disk({ extents: async () => [{ length, hole: true, zero: true }] }),
    status,
    "BLOCK_STATUS",
    `extents(0, 8192) gave an extent whose length is ${length}`,
  ]),
];

for (const [what, target, use, command, words] of mistakes) {
  tests(`${what} is told to onerror, with the request; the client gets EIO, and goes on`, async () => {
    const told: unknown[] = [];
    const onerror: NbdServerOptions["onerror"] = (error, request) => told.push(error.message, request);
    await using(target, { onerror }, async (remote) => {
      const error = (await failure(use(remote))) as ExportError;
      assert.is(error.errno, words === "the disk is full" ? Errno.ENOSPC : Errno.EIO);
    });
    const range = { READ: [4096, 4096], WRITE: [4096, 4096], FLUSH: [0, 0], BLOCK_STATUS: [0, 8192] }[
      command
    ]!;
    assert.equal(told, [words, { command, offset: range[0], length: range[1] }]);
  });
}

tests("known extents that throw or make no sense are told too, and the read succeeds", async () => {
  for (const knownExtents of [
    () => {
      throw new Error("no");
    },
    () => [{ length: Number.NaN, hole: true, zero: true }],
  ]) {
    const told: string[] = [];
    await using(disk({ knownExtents }), { onerror: ({ message }) => told.push(message) }, async (remote) => {
      assert.equal(new Uint8Array((await remote.read(0, 10)) as Uint8Array), sequence(10));
    });
    assert.is(told.length, 1);
    assert.match(told[0]!, /^(no|knownExtents\(0, 10\) gave an extent whose length is NaN)$/);
  }
});

tests("what an export refuses is no error of it", async () => {
  const told: string[] = [];
  const refusing = (errno: Errno) => disk({ read: rejecting(new ExportError(errno, "not here")) });
  for (const errno of [Errno.EINVAL, Errno.EOVERFLOW, Errno.ENOTSUP, Errno.ESHUTDOWN]) {
    await using(refusing(errno), { onerror: ({ message }) => told.push(message) }, async (remote) => {
      assert.is(((await failure(remote.read(0, 512))) as ExportError).errno, errno);
    });
  }
  assert.equal(told, []);
});

/** The warnings of this process while something is done. */
async function warnings(work: () => Promise<unknown>): Promise<string[]> {
  const told: string[] = [];
  const note = ({ name, message }: Error) => void (name === "ExportWarning" && told.push(message));
  process.on("warning", note);
  try {
    await work();
    await settled();
  } finally {
    process.off("warning", note);
  }
  return told;
}

tests("without onerror there is one warning for each kind, not for each time", async () => {
  let asked = 0;
  const target = disk({
    async read(offset: number, length: number) {
      if (asked++ % 2 === 0) throw new Error(`block ${offset} is bad`);
      return sequence(length - 1);
    },
  });
  const told = await warnings(() =>
    using(target, {}, async (remote) => {
      for (let at = 0; at < 20; at++) await failure(remote.read(at * 4, 4));
    }),
  );
  assert.equal(told, [
    "an export failed at a READ of 4 bytes at 0: block 0 is bad",
    "an export failed at a READ of 4 bytes at 4: read(4, 4) gave 3 bytes",
  ]);
});

tests("without onerror there are no more kinds than 32, and none for what an export knows of", async () => {
  let asked = 0;
  const failing = disk({ read: async () => Promise.reject(new Error("x".repeat(++asked))) });
  const told = await warnings(() =>
    using(failing, {}, async (remote) => {
      for (let i = 0; i < 40; i++) await failure(remote.read(0, 1));
    }),
  );
  assert.is(told.length, 32);
  const knowing = disk({ read: rejecting(new ExportError(Errno.EIO, "bad block")) });
  assert.equal(await warnings(() => using(knowing, {}, (remote) => failure(remote.read(0, 1)))), []);
});

tests("what onerror throws disturbs nobody, and is reported", async () => {
  const reported: string[] = [];
  process.setUncaughtExceptionCaptureCallback(({ message }) => reported.push(message));
  try {
    const target = disk({ read: rejecting(new Error("no")) });
    const onerror = () => {
      throw new Error("from onerror");
    };
    await using(target, { onerror }, async (remote) => {
      assert.is(((await failure(remote.read(0, 1))) as ExportError).errno, Errno.EIO);
      await remote.write(0, sequence(1));
    });
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.equal(reported, ["from onerror"]);
});

tests("listen takes onerror too", async () => {
  const told: unknown[] = [];
  const target = disk({ read: rejecting(new Error("no")) });
  const listener = await listen(target, "tcp:127.0.0.1:0", {
    onerror: (error, { command }) => told.push(error.message, command),
  });
  const { port } = listener.address as { port: number };
  const remote = await nbdClient(socketTransport(connect({ port, host: "127.0.0.1", allowHalfOpen: true })));
  await failure(remote.read(0, 1));
  await remote.close();
  await listener.close();
  assert.equal(told, ["no", "READ"]);
});

tests.run();
