/** nbd-serve with an image on a web server, where that takes time: a boot, and a signed URL that expires. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import * as assert from "uvu/assert";
import { connectExport } from "../../src/node/connect-export.ts";
import { busyboxCd } from "../bench/bootable.ts";
import { bootFrom } from "../bench/emulated-pc.ts";
import { failure } from "../bytes.ts";
import { needing, Sandbox, suite, until, within } from "../harness.ts";
import { startFileServer } from "../nginx.ts";
import { isLinuxUnpacked } from "./kernel/emulator.ts";
import { pattern, throughGateway } from "./link.ts";

const tests = suite<{ sandbox: Sandbox }>("nbd-serve URL, slowly");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Milliseconds that a boot may take. */
const TOO_LONG = 300_000;

const programs = ["nginx", "qemu-system-x86_64", "grub-mkrescue", "xorriso", "mformat", "busybox"];
const unpacked = isLinuxUnpacked() ? [] : ["linux-image-amd64 (unpacked by .ci/unpack-linux)"];

needing(tests, [...programs, ...unpacked])("a PC boots a CD that is on a web server", async ({ sandbox }) => {
  const { iso, line } = busyboxCd(sandbox);
  const { url } = await startFileServer(sandbox, dirname(iso));
  const { gateway, socket } = await throughGateway(sandbox, `${url}${basename(iso)}`);
  const time = await bootFrom(sandbox, socket, line, TOO_LONG);
  assert.ok(time !== undefined, `no line of user space in ${TOO_LONG} ms: ${gateway.stderr}`);
});

/** Seconds for which the URL is valid: longer than programs need to start. */
const VALID = 20;
const SIZE = 8 << 20;

needing(tests, ["nginx"])("a signed URL that expires in the middle: EIO and words", async ({ sandbox }) => {
  const folder = sandbox.path("www");
  await mkdir(folder);
  await writeFile(`${folder}/disk.img`, pattern(SIZE));
  const { url } = await startFileServer(sandbox, folder, {
    lines: [
      "secure_link $arg_signature,$arg_expires;",
      'secure_link_md5 "$secure_link_expires$uri key";',
      'if ($secure_link != "1") { return 403; }',
    ],
  });
  const expires = Math.ceil(Date.now() / 1000) + VALID;
  const signature = createHash("md5").update(`${expires}/disk.img key`).digest("base64url");
  const signed = `${url}disk.img?signature=${signature}&expires=${expires}`;
  const { server, gateway, uri } = await throughGateway(sandbox, signed);
  const disk = await connectExport(uri);
  sandbox.onEnd(() => disk.close().catch(() => {}));
  assert.equal(Buffer.from(await disk.read(0, 512)), pattern(512));
  await until("it has expired", () => Date.now() > 1000 * (expires + 1), 1000 * (VALID + 10));
  const error = await within(20_000, "the read", failure(disk.read(SIZE - 4096, 4096)));
  assert.is((error as { errno?: number }).errno, 5);
  const words = "if the URL is signed, it may have expired (403)";
  await until("nbd-serve says so", () => server.stderr.includes(words));
  assert.is(server.process.exitCode, null);
  for (const { stdout, stderr } of [server, gateway]) {
    assert.not.ok(`${stdout}${stderr}`.includes(signature));
  }
});

tests.run();
