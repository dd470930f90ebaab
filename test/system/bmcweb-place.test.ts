/** In place of OpenBMC's nbd-proxy: with its path, its argument, its configuration file and its state hook, nothing else is needed. */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { startBmcwebRelay } from "../bmcweb-relay.ts";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage } from "../image.ts";
import { load, servers, untilAttached } from "./bmcweb-scene.ts";

const tests = suite("in place of OpenBMC's nbd-proxy");

/**
 * Has a command run in a mount namespace of its own, in which /usr/bin has our nbd-proxy too, as `npm install --global` puts it there,
 * and /etc has a folder nbd-proxy.
 */
function installed(sandbox: Sandbox, files: Record<string, string>): string[] {
  const [usrBin, etc, original] = ["bin", "etc", "original"].map((name) => sandbox.path(name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [usrBin, original]) mkdirSync(folder, { mode: 0o755 });
  for (const name of readdirSync("/usr/bin")) symlinkSync(join(original, name), join(usrBin, name));
  symlinkSync(program("nbd-proxy"), join(usrBin, "nbd-proxy"));
  cpSync("/etc", etc, { recursive: true, verbatimSymlinks: true });
  mkdirSync(join(etc, "nbd-proxy"), { mode: 0o755 });
  for (const [name, text] of Object.entries(files)) {
    const mode = name === "state" ? 0o755 : 0o644;
    writeFileSync(join(etc, "nbd-proxy", name), text, { mode });
  }
  const binds = `mount --bind /usr/bin ${original} && mount --bind ${usrBin} /usr/bin && mount --bind ${etc} /etc`;
  return ["unshare", "--mount", "sh", "-c", `${binds} && exec "$@"`, "sh"];
}

needing(tests, ["unshare", "nbdcopy", "nbdsh"])(
  "bmcweb starts /usr/bin/nbd-proxy 0, which finds /etc/nbd-proxy/config.json and runs /etc/nbd-proxy/state",
  async () => {
    const sandbox = new Sandbox();
    try {
      const image = sandbox.path("disk.img");
      await randomImage(image, 4 << 20);
      const said = sandbox.path("said");
      const under = installed(sandbox, {
        "config.json": JSON.stringify({
          timeout: 30,
          configurations: {
            "0": {
              listen: `unix:${sandbox.path("nbd.sock")}`,
              metadata: { description: "Virtual media device" },
            },
            "1": { "nbd-device": "/dev/nbd1", metadata: { description: "Dump Offload" } },
          },
        }),
        state: `#!/bin/sh\necho "$1 $2" >> ${said}\n`,
      });
      const relay = await startBmcwebRelay(sandbox, "", { program: "/usr/bin/nbd-proxy", under });
      const serving = await servers["a first-generation server"]!(sandbox, image, relay.endpoint);
      await untilAttached(relay);
      await load(sandbox, image, 100);
      await serving.end();
      const { status, overruns } = await relay.ended();
      assert.equal([status, overruns], [0, 0]);
      assert.is(readFileSync(said, "utf8"), "start 0\nstop 0\n");
      await until("its socket is gone", () => !readdirSync(sandbox.folder).includes("nbd.sock"));
      const metadata = await sandbox.run(under[0]!, [...under.slice(1), "/usr/bin/nbd-proxy", "--metadata"]);
      assert.is(JSON.parse(metadata)["0"].description, "Virtual media device");
    } finally {
      await sandbox.end();
    }
  },
);

tests.run();
