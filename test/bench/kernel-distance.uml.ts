/** Runs in User-Mode Linux: see kernel-distance.ts. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program, root, Sandbox, until } from "../harness.ts";
import { forkRelay, type Relay } from "../relay.ts";
import { deviceState, free, onDevice } from "../system/kernel/guest.ts";
import { pattern, startGateway } from "../system/link.ts";
import { RATE, ROUND_TRIPS } from "./far-link.ts";

const SIZE = 48 << 20;

type Way = (sandbox: Sandbox, image: string, link: { roundTrip: number; rate: number }) => Promise<Relay>;

/** Each way to the device, over a link; gives the link. */
const ways: Record<string, Way> = {
  async ours(sandbox, image, link) {
    const gateway = await startGateway(sandbox, onDevice());
    const relay = await forkRelay({ listen: 0, to: Number(new URL(gateway.url).port), ...link });
    sandbox.start(program("nbd-serve"), [image, `ws://127.0.0.1:${relay.place}/`]);
    await until("the device is there", () => gateway.stderr.includes("bytes"), 120_000);
    return relay;
  },
  async plain(sandbox, image, link) {
    const [near, far] = [sandbox.path("near.sock"), sandbox.path("far.sock")];
    sandbox.start(process.execPath, [join(root, "test/first-generation-server.js"), image, far]);
    await until("the plain server listens", () => existsSync(far), 120_000);
    const relay = await forkRelay({ listen: near, to: far, ...link });
    await sandbox.run("nbd-client", ["-unix", near, "/dev/nbd0"]);
    await until("the device is there", () => deviceState().size === SIZE, 120_000);
    return relay;
  },
};

for (const roundTrip of ROUND_TRIPS) {
  for (const [way, start] of Object.entries(ways)) {
    const sandbox = new Sandbox();
    const image = sandbox.path("disk.img");
    writeFileSync(image, pattern(SIZE));
    const relay = await start(sandbox, image, { roundTrip, rate: RATE });
    const count = way === "plain" ? (SIZE >> 17) / 4 : SIZE >> 17;
    const begin = performance.now();
    await sandbox.run("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=128k", `count=${count}`]);
    const rate = (count << 17) / 1000 / (performance.now() - begin);
    console.log(JSON.stringify({ way, roundTrip, rate }));
    await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
    await free();
    await relay.close();
    await sandbox.end();
  }
}
