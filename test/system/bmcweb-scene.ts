/** nbd-proxy under a relay like OpenBMC's, the three kinds of servers that its page may have, and a load. */
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type BmcwebRelay, RELAY_BUFFER, type RelayedSession } from "../bmcweb-relay.ts";
import { openChromium } from "../browser.ts";
import { program, type Running, root, type Sandbox, until, within } from "../harness.ts";
import { sha256 } from "../image.ts";

/** Writes a config.json whose configuration is called "0", as there, but is a socket that a test can read from. */
export function writeRelayed(sandbox: Sandbox, keys: object = {}): string {
  const file = sandbox.path("config.json");
  const configurations = { "0": { listen: `unix:${socketOf(sandbox)}` } };
  const text = JSON.stringify({ "state-hook": sandbox.path("state"), ...keys, configurations });
  writeFileSync(file, text);
  return file;
}

const socketOf = (sandbox: Sandbox) => sandbox.path("nbd.sock");
export const uriOf = (sandbox: Sandbox) => `nbd+unix:///?socket=${socketOf(sandbox)}`;

/** Something that serves an image to a relay. */
export interface Serving {
  /** Ends as its user would have it. */
  end(): Promise<void>;
  /** Is killed, and with it its connection. */
  kill?(): void;
  /** Says nothing any more. */
  freeze?(): void;
}

export type Serve = (
  sandbox: Sandbox,
  image: string,
  endpoint: string,
  options?: { maxMessage?: number },
) => Promise<Serving>;

const processOf = (running: Running): Serving => ({
  async end() {
    running.kill();
    await running.exit;
  },
  kill: () => running.kill("SIGKILL"),
  freeze: () => running.kill("SIGSTOP"),
});

/** A page with a script of the package's, and how a server is made there of the expressions `endpoint` and `file`. */
interface Page {
  script: string;
  html: string;
  server(options: { maxMessage?: number }): string;
}

const htmlWith = (script: string) => `<!doctype html>
<input id="file" type="file">
<script type="module">
  ${script}
  globalThis.NBDServer = NBDServer;
</script>`;

const ownPage: Page = {
  script: "dist/browser/nbd-proxy.js",
  html: htmlWith('import { NBDServer } from "./script.js";'),
  server: (options) => `new NBDServer(endpoint, file, ${JSON.stringify(options)})`,
};

/** It needs not be told what the relay takes. */
const consolePage: Page = {
  script: "dist/browser/NBDServer.js",
  html: htmlWith('import NBDServer from "./script.js";'),
  server: () => 'new NBDServer(endpoint, file, "0", "token")',
};

/** A server in a page, in Chromium. */
const inPage =
  ({ script, html, server }: Page): Serve =>
  async (sandbox, image, endpoint, options = {}) => {
    const console = createServer((request, response) => {
      const isScript = request.url === "/script.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? readFileSync(join(root, script)) : html);
    }).listen(0, "127.0.0.1");
    sandbox.onEnd(() => console.close());
    await once(console, "listening");
    const browser = await openChromium();
    sandbox.onEnd(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(console.address() as AddressInfo).port}/`);
    await page.waitForFunction("globalThis.NBDServer");
    await page.setInputFiles("#file", image);
    const made = `(endpoint, file) => ${server(options)}`;
    const file = 'document.getElementById("file").files[0]';
    await page.evaluate(
      `globalThis.server = (${made})(${JSON.stringify(endpoint)}, ${file}); server.start()`,
    );
    return {
      async end() {
        await page.evaluate("server.stop()");
        await browser.close();
      },
    };
  };

export const servers: Record<string, Serve> = {
  "nbd-serve": async (sandbox, image, endpoint, { maxMessage } = {}) => {
    const limit = maxMessage === undefined ? [] : ["--max-message", `${maxMessage}`];
    return processOf(sandbox.start(program("nbd-serve"), [...limit, image, endpoint]));
  },
  "a first-generation server": async (sandbox, image, endpoint) =>
    processOf(sandbox.start("node", [join(root, "test/first-generation-server.js"), image, endpoint, "0"])),
  "NBDServer in Chromium": inPage(ownPage),
  "webui-vue's NBDServer in Chromium": inPage(consolePage),
};

/** Waits until the export can be used. */
export async function untilAttached(relay: BmcwebRelay): Promise<void> {
  await until(
    "the export is attached",
    () => / bytes, (?:writable|read-only), on /.test(readFileSync(relay.stderrFile, "utf8")),
    60_000,
  );
  writeFileSync(relay.stderrFile, "");
}

/** So many random reads, 64 at once, each compared with the image; and then all of it. */
export async function load(sandbox: Sandbox, image: string, reads: number): Promise<void> {
  const script = join(root, "test/system/random-reads.py");
  const reader = sandbox.start("/usr/bin/python3", [script, uriOf(sandbox), image, `${reads}`]);
  const status = await within(60_000 + 50 * reads, "the random reads", reader.exit);
  assert.is(status, 0, reader.stderr);
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [uriOf(sandbox), copy]);
  assert.is(await sha256(copy), await sha256(image));
}

/**
 * Has a process stop for a moment again and again, as one does that a busy machine lets wait: whatever was asked for comes and is
 * pending then. Returns what ends it.
 */
export function stutter(pid: number, milliseconds = 80): () => void {
  let isStopped = false;
  const timer = setInterval(() => {
    isStopped = !isStopped;
    signal(isStopped ? "SIGSTOP" : "SIGCONT");
  }, milliseconds);
  function signal(name: NodeJS.Signals) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
  return () => {
    clearInterval(timer);
    signal("SIGCONT");
  };
}

/** Nothing was lost or spoiled on the way, and never was more pending than the relay holds. */
export function isUnharmed(session: RelayedSession, most = RELAY_BUFFER): void {
  assert.equal([session.overruns, session.spoiled], [0, 0], JSON.stringify(session));
  assert.ok(session.underway <= most, `${session.underway} bytes were underway`);
  assert.ok(session.underway > most / 2, "much was underway at times");
}

/** The programs in a folder from which koffi cannot be found. Returns the path of nbd-proxy there. */
export function withoutKoffi(sandbox: Sandbox): string {
  const folder = sandbox.path("without-koffi");
  if (!existsSync(folder)) {
    mkdirSync(folder);
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    mkdirSync(join(folder, "node_modules"));
    for (const name of readdirSync(join(root, "node_modules"))) {
      if (name !== "koffi") symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
    }
  }
  return join(folder, "dist/bin/nbd-proxy.js");
}
