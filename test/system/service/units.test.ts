/** The units for systemd, as nbd-gateway --init writes them, and who may connect to the sockets of a service. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { needing, program, root, Sandbox, suite, until, within } from "../../harness.ts";
import { asRoot } from "../../security/others.ts";
import { attached, pattern, startGateway } from "../link.ts";

interface Context {
  sandbox: Sandbox;
  folder: string;
}

const tests = suite<Context>("the units for systemd");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.folder = context.sandbox.path("etc %h $x");
});
tests.after.each(({ sandbox }) => sandbox.end());

const init = ({ sandbox, folder }: Context) => sandbox.run(program("nbd-gateway"), ["--init", folder]);

const FILES = [
  "config.json",
  "nbd-gateway.service",
  "nbd-gateway.socket",
  "nbd-gateway-device.conf",
  "nginx.conf.example",
  "Caddyfile.example",
];

tests(
  "--init says each file that it writes, and what comes next; a second time it changes nothing",
  async (context) => {
    const { folder } = context;
    const output = await init(context);
    for (const name of FILES) {
      assert.ok(output.includes(`wrote ${join(folder, name)}\n`), name);
      assert.is(statSync(join(folder, name)).mode & 0o777, 0o644);
    }
    assert.match(output, /^(?:next|when that is mended): .*\n$/m);
    assert.equal(Object.keys(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")).configurations), [
      "local",
    ]);
    writeFileSync(
      join(folder, "config.json"),
      '{ "configurations": { "mine": { "listen": "unix:mine.sock" } } }',
    );
    const again = await init(context);
    assert.not.match(again, /wrote/);
    assert.ok(again.includes(`${join(folder, "config.json")} is there already, and stays as it is\n`));
    assert.match(readFileSync(join(folder, "config.json"), "utf8"), /mine/);
  },
);

tests("--init where others could change the configuration: one line, and exit status 1", async (context) => {
  mkdirSync(context.folder);
  chmodSync(context.folder, 0o777);
  const running = context.sandbox.start(program("nbd-gateway"), ["--init", context.folder]);
  assert.is(await running.exit, 1);
  assert.match(
    running.stderr,
    /^nbd-gateway: reading the configuration file .* not safe, as .* can be written by everybody.*\n$/,
  );
});

for (const folder of ["/proc/nowhere", "/proc/nowhere/deep"]) {
  tests(`--init ${folder}, where no folder can be made: one line, and exit status 1`, async ({ sandbox }) => {
    const running = sandbox.start(program("nbd-gateway"), ["--init", folder]);
    assert.is(await within(30_000, "the end", running.exit), 1);
    assert.is(running.stderr, `nbd-gateway: making the folder ${folder}: no folder can be made in /proc\n`);
  });
}

tests("--init where a file is: one line, and exit status 1", async ({ sandbox }) => {
  const file = sandbox.path("file");
  writeFileSync(file, "");
  const running = sandbox.start(program("nbd-gateway"), ["--init", file]);
  assert.is(await running.exit, 1);
  assert.is(running.stderr, `nbd-gateway: making the folder ${file}: ${file} is not a folder\n`);
});

/** The figure of systemd-analyze security; less is better. */
async function exposure({ sandbox, folder }: Context): Promise<number> {
  const unit = join(folder, "nbd-gateway.service");
  const output = await sandbox.run("systemd-analyze", ["security", "--offline=true", "--no-pager", unit]);
  return Number(/Overall exposure level for nbd-gateway\.service: ([\d.]+)/.exec(output)![1]);
}

/** Complaints of systemd-analyze verify. It says them on standard error. */
async function complaints({ sandbox, folder }: Context, ...units: string[]): Promise<string> {
  const running = sandbox.start("systemd-analyze", [
    "verify",
    "--man=no",
    ...units.map((name) => join(folder, name)),
  ]);
  assert.is(await running.exit, 0, running.stderr);
  return running.stderr;
}

const withSystemd = needing(tests, ["systemd-analyze"]);

/** What the manual says that the figure is. */
function toldExposure(unit: string): number {
  const manual = readFileSync(join(root, "bin/nbd-gateway.1.md"), "utf8");
  return Number(new RegExp(`\`${unit}\`[^|\\n]*\\| ([\\d.]+) \\|`).exec(manual)![1]);
}

withSystemd("systemd finds no fault, and the service is shut in as the manual says", async (context) => {
  await init(context);
  assert.is(await complaints(context, "nbd-gateway.service", "nbd-gateway.socket"), "");
  assert.is(await exposure(context), toldExposure("nbd-gateway.service"));
  assert.ok((await exposure(context)) < 1.6);
  // systemd reads the path in the unit as it is.
  const unit = readFileSync(join(context.folder, "nbd-gateway.service"), "utf8");
  assert.match(unit, /^ExecStart=\S+ \S+ --config ".*\/etc %%h \$\$x\/config\.json"$/m);
});

withSystemd("with kernel devices too, with two capabilities", async (context) => {
  await init(context);
  const dropIn = join(context.folder, "nbd-gateway.service.d");
  mkdirSync(dropIn);
  copyFileSync(join(context.folder, "nbd-gateway-device.conf"), join(dropIn, "device.conf"));
  assert.is(await complaints(context, "nbd-gateway.service"), "");
  assert.is(await exposure(context), toldExposure("nbd-gateway-device.conf"));
  assert.ok((await exposure(context)) <= 3);
});

withSystemd("a fault in a unit is found", async (context) => {
  await init(context);
  const unit = join(context.folder, "nbd-gateway.service");
  writeFileSync(unit, readFileSync(unit, "utf8").replace("Type=notify", "Type=no-such-type"));
  assert.match(await complaints(context, "nbd-gateway.service"), /no-such-type/);
});

needing(asRoot(tests), ["qemu-img", "setpriv", "nbdinfo"])(
  "with socket-mode and socket-group another user of that group opens the socket, and nobody else does",
  async ({ sandbox }) => {
    chmodSync(sandbox.folder, 0o755);
    mkdirSync(sandbox.path("run"), { mode: 0o755 });
    chmodSync(sandbox.path("run"), 0o755);
    const image = sandbox.path("disk.img");
    writeFileSync(image, pattern(1 << 20));
    const path = sandbox.path("run/disk.sock");
    const keys = { listen: `unix:${path}`, "socket-mode": "0660", "socket-group": "64055" };
    const gateway = await startGateway(sandbox, keys);
    sandbox.start(program("nbd-serve"), [image, gateway.url]);
    await attached(gateway);
    await until("the socket", () => existsSync(path));
    const uri = `nbd+unix:///?socket=${path}`;
    const as = (group: string, ...command: string[]) =>
      sandbox.start("setpriv", [`--reuid=65534`, "--regid=65534", `--groups=${group}`, ...command]);
    const info = as("64055", "qemu-img", "info", "--output=json", uri);
    assert.is(await info.exit, 0, info.stderr);
    assert.is((JSON.parse(info.stdout) as { "virtual-size": number })["virtual-size"], 1 << 20);
    const stranger = as("64056", "nbdinfo", "--size", uri);
    assert.is(await stranger.exit, 1);
    assert.match(stranger.stderr, /Permission denied/);
  },
);

tests.run();
