/** nbd-proxy in OpenBMC's place: under a relay that neither pushes back nor waits for a limited time. */
import { readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { type BmcwebRelay, RELAY_BUFFER, startBmcwebRelay } from "../bmcweb-relay.ts";
import { needing, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage } from "../image.ts";
import {
  isUnharmed,
  load,
  servers,
  stutter,
  untilAttached,
  uriOf,
  withoutKoffi,
  writeRelayed,
} from "./bmcweb-scene.ts";

/** Random reads in a test. */
const READS = Number(process.env.BMCWEB_READS ?? 600);

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-proxy under a relay like bmcweb's");
const peers = needing(tests, ["chromium", "nbdcopy", "nbdsh"]);

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  await randomImage(context.image, 24 << 20);
});
tests.after.each(({ sandbox }) => sandbox.end());

/** A session with a random load, whose nbd-proxy stops again and again, so that much waits for it. Returns what the relay has seen. */
async function stutteringSession(
  sandbox: Sandbox,
  image: string,
  relay: BmcwebRelay,
  serve: (typeof servers)[string],
) {
  const serving = await serve(sandbox, image, relay.endpoint);
  await untilAttached(relay);
  const endStutter = stutter(relay.proxyPid());
  await load(sandbox, image, READS);
  endStutter();
  await serving.end();
  return relay.ended();
}

for (const [name, serve] of Object.entries(servers)) {
  peers(
    `${name}: a random load, 64 reads at once; the end; and again at once`,
    async ({ sandbox, image }) => {
      const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox));
      for (let round = 0; round < 2; round++) {
        const session = await stutteringSession(sandbox, image, relay, serve);
        isUnharmed(session);
        assert.is(session.waited, 0, "no write waited: the pipe holds all that may come");
        assert.is(session.status, 0);
      }
    },
  );
}

for (const [name, serve] of Object.entries(servers)) {
  peers(
    `${name}: a relay that takes no message of more than 128 KiB and a header`,
    async ({ sandbox, image }) => {
      const maxMessage = (128 << 10) + 16;
      const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox), { maxMessage });
      const serving = await serve(sandbox, image, relay.endpoint, { maxMessage });
      await untilAttached(relay);
      await load(sandbox, image, READS / 4);
      await serving.end();
      const session = await relay.ended();
      assert.equal([session.overruns, session.spoiled, session.status], [0, 0, 0], JSON.stringify(session));
    },
  );
}

peers(
  "and without maxMessage, asked for more at a time, a server is closed on",
  async ({ sandbox, image }) => {
    const maxMessage = (128 << 10) + 16;
    const config = writeRelayed(sandbox, { "window-kb": 512, "request-kb": 256 });
    const relay = await startBmcwebRelay(sandbox, config, { maxMessage });
    await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
    await untilAttached(relay);
    await load(sandbox, image, READS).catch(() => {});
    assert.is((await relay.ended()).reason, "message too long");
  },
);

peers(
  "a pipe that cannot be made larger: half as much is asked for, and nothing is spoiled",
  async ({ sandbox, image }) => {
    const config = writeRelayed(sandbox);
    const relay = await startBmcwebRelay(sandbox, config, { proxy: withoutKoffi(sandbox) });
    const session = await stutteringSession(sandbox, image, relay, servers["nbd-serve"]!);
    isUnharmed(session, RELAY_BUFFER / 2);
    assert.ok(session.waited > 0, "writes waited for the pipe");
  },
);

peers("what that is for: as much as ever spoils what waits for a small pipe", async ({ sandbox, image }) => {
  const config = writeRelayed(sandbox, { "window-kb": 512 });
  const relay = await startBmcwebRelay(sandbox, config, { proxy: withoutKoffi(sandbox) });
  const serving = await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
  await untilAttached(relay);
  const endStutter = stutter(relay.proxyPid());
  await load(sandbox, image, READS).catch(() => {});
  endStutter();
  await serving.end();
  const session = await relay.ended();
  assert.ok(session.moved > 0 && session.spoiled > 0, JSON.stringify(session));
});

peers("and a window as large as where relays push back overruns it", async ({ sandbox, image }) => {
  const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox, { "window-kb": 4096 }));
  await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
  await untilAttached(relay);
  const endStutter = stutter(relay.proxyPid(), 200);
  await load(sandbox, image, READS).catch(() => {});
  endStutter();
  const session = await relay.ended();
  assert.is(session.reason, "Buffer overrun");
});

peers(
  "a page that goes with reads outstanding, a hook that reads for the end: seconds, and again at once",
  async ({ sandbox, image }) => {
    // What a hook that unmounts does. Without an end of the link it would be killed, and say nothing.
    const read = `/usr/bin/python3 -c 'import nbd; h = nbd.NBD(); h.connect_uri("${uriOf(sandbox)}"); h.pread(4096, 20 << 20)'`;
    const said = sandbox.path("said");
    const hook = `#!/bin/sh\n[ "$1" = start ] && exit\n${read} 2>/dev/null && echo read >> ${said} || echo failed >> ${said}\n`;
    writeFileSync(sandbox.path("state"), hook, { mode: 0o755 });
    const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox));
    const serving = await servers["a first-generation server"]!(sandbox, image, relay.endpoint);
    await untilAttached(relay);
    serving.freeze!();
    const reads = `import nbd; h = nbd.NBD(); h.connect_uri("${uriOf(sandbox)}")
for i in range(8): h.aio_pread(nbd.Buffer(65536), i << 20)
print("sent", flush=True)
while h.aio_in_flight(): h.poll(-1)`;
    const reader = sandbox.start("/usr/bin/python3", ["-c", reads]);
    await until("the reads are outstanding", () => reader.stdout.includes("sent"));
    serving.kill!();
    const session = await relay.ended();
    assert.is(session.status, 1, "reads were lost");
    assert.match(readFileSync(relay.stderrFile, "utf8"), /nothing came from the other side for 5 s/);
    await until("the hook has its answer", () => /failed/.test(readFileSync(said, "utf8")));
    await within(10_000, "the reader", reader.exit);

    const again = await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
    await untilAttached(relay);
    await load(sandbox, image, 64);
    await again.end();
    const after = await relay.ended();
    // The hook reads what is not there any more.
    assert.equal([after.overruns, after.spoiled], [0, 0]);
  },
);

peers(
  "a relay that drops who is silent for 3 s: a disk that nobody reads stays with keep-alive 1",
  async ({ sandbox, image }) => {
    const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox, { "keep-alive": 1 }), { idle: 3 });
    const serving = await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
    await untilAttached(relay);
    await new Promise((resolve) => setTimeout(resolve, 9000));
    assert.equal(relay.sessions(), []);
    await load(sandbox, image, 64);
    await serving.end();
    assert.is((await relay.ended()).status, 0);
  },
);

peers("and goes with keep-alive 0", async ({ sandbox, image }) => {
  const relay = await startBmcwebRelay(sandbox, writeRelayed(sandbox, { "keep-alive": 0 }), { idle: 3 });
  await servers["nbd-serve"]!(sandbox, image, relay.endpoint);
  await untilAttached(relay);
  assert.is((await relay.ended()).reason, "nothing was said for 3.0 s");
});

tests.run();
