/** Runs in User-Mode Linux: see machine.ts. */
import * as assert from "uvu/assert";
import { ByteQueue } from "../../../src/streams/byte-queue.ts";
import { type Running, Sandbox, suite, within } from "../../harness.ts";
import { attached, startProxy } from "../link.ts";
import { assertQuietKernel, free, hookCalls, onDevice, writeHook } from "./guest.ts";

const tests = suite<{ sandbox: Sandbox }>("a hostile remote of a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  writeHook(context.sandbox);
});
tests.after.each(({ sandbox }) => sandbox.end());

const READ = 0;

interface Asked {
  type: number;
  cookie: Buffer;
  length: number;
}

function reply(cookie: Buffer, data: Buffer, magic = 0x67446698): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32BE(magic);
  cookie.copy(header, 8);
  return Buffer.concat([header, data]);
}

const honest = ({ cookie, length }: Asked) => reply(cookie, Buffer.alloc(length));

/** A server of a few lines that speaks on the wire of a proxy: honest at first, then as `answer` has it. */
class Server {
  answer: (asked: Asked) => Buffer = honest;
  /** Ends what the server says, behind the next answer. */
  ends = false;

  constructor(proxy: Running, size: bigint) {
    const queue = new ByteQueue();
    const { stdout, stdin } = proxy.process;
    stdin!.on("error", () => {});
    const greeting = Buffer.alloc(18);
    greeting.write("NBDMAGICIHAVEOPT", "latin1"); // no flags: only NBD_OPT_EXPORT_NAME is to be had
    stdin!.write(greeting);
    let isTransmitting = false;
    stdout!.on("data", (chunk: Buffer) => {
      queue.push(chunk);
      if (!isTransmitting) {
        if (queue.length < 20) return;
        queue.take(20);
        const information = Buffer.alloc(134);
        information.writeBigUInt64BE(size);
        information.writeUInt16BE(3, 8); // NBD_FLAG_HAS_FLAGS, NBD_FLAG_READ_ONLY
        stdin!.write(information);
        isTransmitting = true;
      }
      while (queue.length >= 28) {
        const request = Buffer.from(queue.take(28));
        const asked = {
          type: request.readUInt16BE(6),
          cookie: request.subarray(8, 16),
          length: request.readUInt32BE(24),
        };
        if (asked.type === READ) stdin!.write(this.answer(asked));
        if (asked.type !== READ || this.ends) stdin!.end();
      }
    });
  }
}

const SIZE = 1n << 30n;
let earlier: Buffer | undefined;

const faults: Record<string, { answer: Server["answer"]; says: RegExp; ends?: true }> = {
  "a wrong magic": {
    answer: ({ cookie, length }) => reply(cookie, Buffer.alloc(length), 0x12345678),
    says: /a simple reply began with 0x12345678 where 0x67446698 was expected/,
  },
  "an unknown cookie": {
    answer: ({ length }) => reply(Buffer.from("deadbeefdeadbeef", "hex"), Buffer.alloc(length)),
    says: /the server answered a request that is not outstanding, cookie 0xdeadbeefdeadbeef/,
  },
  "a reply that comes twice": {
    answer(asked) {
      const answers = [honest(asked), ...(earlier ? [reply(earlier, Buffer.alloc(0))] : [])];
      earlier = asked.cookie;
      return Buffer.concat(answers);
    },
    says: /the server answered a request that is not outstanding/,
  },
  "a reply that is longer than asked": {
    answer: ({ cookie, length }) => reply(cookie, Buffer.alloc(length + 512, 0x55)),
    says: /a simple reply began with 0x55555555/,
  },
  "a reply that is shorter than asked": {
    answer: ({ cookie, length }) => reply(cookie, Buffer.alloc(length - 512)),
    ends: true,
    says: /the data ended inside a reply/,
  },
};

for (const [name, { answer, says, ends = false }] of Object.entries(faults)) {
  tests(`${name}: one line, EIO, and the kernel has not seen it`, async ({ sandbox }) => {
    const proxy = startProxy(sandbox, onDevice());
    const server = new Server(proxy, SIZE);
    await attached(proxy);
    server.answer = answer;
    server.ends = ends;
    earlier = undefined;
    const dd = sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=4k", "iflag=direct", "skip=5000"]);
    assert.is(await within(20_000, "the end of dd", dd.exit), 1);
    assert.match(dd.stderr, "Input/output error");
    assert.is(await within(20_000, "the end of the proxy", proxy.exit), 1);
    const [ready, fault, ...more] = proxy.stderr.trim().split("\n");
    assert.match(ready!, / on \/dev\/nbd0$/);
    assert.match(fault!, says);
    assert.equal(more, []);
    assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
    await free();
    assertQuietKernel();
  });
}

for (const [size, says] of [
  [0n, /the export is empty, 0 bytes/],
  [1n << 63n, /the server announced an export of more than 2\^53 bytes/],
] as const) {
  tests(`an export of ${size} bytes is refused`, async ({ sandbox }) => {
    const proxy = startProxy(sandbox, onDevice());
    new Server(proxy, size);
    assert.is(await within(60_000, "the end of the proxy", proxy.exit), 1);
    assert.match(proxy.stderr, says);
    assert.is(proxy.stderr.trim().split("\n").length, 1);
    assert.equal(hookCalls(sandbox), []);
    await free();
    assertQuietKernel();
  });
}

tests.run();
