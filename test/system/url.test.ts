/** nbd-serve with an image on a web server. */
import { readFileSync } from "node:fs";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import type { Export } from "../../src/export/export.ts";
import { connectExport } from "../../src/node/connect-export.ts";
import { eventsOf } from "../bin/events-schema.ts";
import { failure } from "../bytes.ts";
import { writePair } from "../certificates.ts";
import { redirect, status, WebServer } from "../export/http/web-server.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { startFileServer } from "../nginx.ts";
import { freePort } from "../websocketd.ts";
import { attached, attachedAt, pattern, sha256, startGateway } from "./link.ts";
import { PseudoTerminal } from "./pseudo-terminal.ts";

const MIB = 1 << 20;
const SIZE = 8 * MIB + 5;

interface Context {
  sandbox: Sandbox;
  /** What a web server has, and a file in it. */
  folder: string;
  image: string;
}

const tests = suite<Context>("nbd-serve URL");

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.folder = context.sandbox.path("www");
  context.image = `${context.folder}/disk.img`;
  await mkdir(context.folder);
});
tests.after.each(({ sandbox }) => sandbox.end());

const serve = program("nbd-serve");

/** Starts nbd-serve with an image, and reads it through a gateway. */
async function throughGateway(sandbox: Sandbox, args: readonly string[]) {
  const gateway = await startGateway(sandbox);
  const server = sandbox.start(serve, [...args, `${gateway.url}local`]);
  await attached(gateway);
  const { uri } = attachedAt(sandbox);
  const connect = async (): Promise<Export> => {
    const disk = await connectExport(uri);
    sandbox.onEnd(() => disk.close().catch(() => {}));
    return disk;
  };
  return { gateway, server, uri, connect };
}

/** Runs it where it has to fail at once, and returns its lines. */
async function refused(sandbox: Sandbox, args: readonly string[]): Promise<string> {
  const running = sandbox.start(serve, args);
  assert.is(await within(30_000, "nbd-serve", running.exit), 1);
  assert.is(running.stdout, "");
  return running.stderr.replaceAll("nbd-serve: ", "").trimEnd();
}

for (const scheme of ["http", "https"] as const) {
  needing(tests, ["nginx", "nbdcopy"])(
    `nginx, ${scheme}: a copy is equal`,
    async ({ sandbox, folder, image }) => {
      await writeFile(image, pattern(SIZE));
      const pair = scheme === "https" ? writePair(sandbox, "nginx", ["127.0.0.1"]) : undefined;
      const { url } = await startFileServer(sandbox, folder, pair && { pair });
      const trust = pair ? ["--image-ca", pair.certFile] : [];
      const { uri } = await throughGateway(sandbox, [...trust, `${url}disk.img`]);
      const copy = sandbox.path("copy");
      await sandbox.run("nbdcopy", [uri, copy]);
      assert.is(await sha256(copy), await sha256(image));
      if (!pair) return;
      const words = await refused(sandbox, [`${url}disk.img`, "-"]);
      assert.match(words, /^opening https:\S+: the server's certificate [^\n]*, or use --image-ca FILE$/);
    },
  );
}

needing(tests, ["nginx"])(
  "another file in its place: EIO and words, and nothing of that file",
  async ({ sandbox, folder, image }) => {
    await writeFile(image, pattern(SIZE));
    await writeFile(`${folder}/other`, pattern(SIZE, 2));
    // The ETag of nginx is the time, in seconds, and the size.
    await utimes(`${folder}/other`, 1_700_000_000, 1_700_000_000);
    const { url } = await startFileServer(sandbox, folder);
    const { server, connect } = await throughGateway(sandbox, [`${url}disk.img`]);
    const disk = await connect();
    assert.equal(Buffer.from(await disk.read(0, 512)), pattern(512));
    await rename(`${folder}/other`, image);
    const error = await within(20_000, "the read", failure(disk.read(SIZE - 4096, 4096)));
    assert.is((error as { errno?: number }).errno, 5);
    await until("nbd-serve says so", () =>
      /READ of \d+ bytes at \d+ failed: reading [^\n]*disk\.img: the file was changed on the server/.test(
        server.stderr,
      ),
    );
    assert.is(server.process.exitCode, null);
  },
);

needing(tests, ["nginx"])("a restart of nginx in the middle: goes on", async ({ sandbox, folder, image }) => {
  const bytes = pattern(SIZE);
  await writeFile(image, bytes);
  const first = await startFileServer(sandbox, folder);
  const { server, connect } = await throughGateway(sandbox, [`${first.url}disk.img`]);
  const disk = await connect();
  assert.equal(Buffer.from(await disk.read(0, 512)), bytes.subarray(0, 512));
  first.kill("SIGKILL");
  await first.exit;
  await rm(sandbox.path(`nginx-${first.port}.pid`));
  const reading = disk.read(6 * MIB, 4096);
  await until("nbd-serve says so", () => /nothing listens there; trying again/.test(server.stderr));
  await startFileServer(sandbox, folder, { port: first.port });
  const read = await within(30_000, "the read", reading);
  assert.equal(Buffer.from(read), bytes.subarray(6 * MIB, 6 * MIB + 4096));
  assert.match(server.stderr, /the server answers again/);
});

needing(tests, ["python3"])(
  "a server without ranges is told in one line",
  async ({ sandbox, folder, image }) => {
    await writeFile(image, pattern(MIB));
    const port = await freePort();
    sandbox.start("python3", [
      "-m",
      "http.server",
      "--bind",
      "127.0.0.1",
      "--directory",
      folder,
      String(port),
    ]);
    const url = `http://127.0.0.1:${port}/disk.img`;
    await until("it listens", () =>
      fetch(url, { method: "HEAD" }).then(
        () => true,
        () => false,
      ),
    );
    assert.match(
      await refused(sandbox, [url, "-"]),
      /^opening http:\S+: the server sends all of the file in place of a part \(200\)[^\n]*$/,
    );
  },
);

/** What a server does wrong, and the line about it. */
const faults: Record<string, [WebServer["always"], RegExp]> = {
  "another part": [
    (_request, response) =>
      response.writeHead(206, { "content-range": "bytes 5-5/10000", "content-length": "1" }).end("x"),
    /the server sent another part than bytes 0 to 0: its Content-Range is "bytes 5-5\/10000"/,
  ],
  "no Content-Range": [
    (_request, response) => response.writeHead(206, { "content-length": "1" }).end("x"),
    /its Content-Range is none/,
  ],
  "no size": [
    (_request, response) =>
      response.writeHead(206, { "content-range": "bytes 0-0/*", "content-length": "1" }).end("x"),
    /the server does not tell how long the file is/,
  ],
  "0 bytes": [status(416, { "content-range": "bytes */0" }), /the file has 0 bytes/],
  compressed: [
    (_request, response) =>
      response
        .writeHead(206, {
          "content-range": "bytes 0-0/10000",
          "content-length": "1",
          "content-encoding": "gzip",
        })
        .end("x"),
    /the server sends it compressed \("gzip"\)/,
  ],
  shorter: [
    (_request, response) =>
      response.writeHead(206, { "content-range": "bytes 0-0/10000", "content-length": "0" }).end(),
    /the server announced 1 bytes, and sends 0/,
  ],
  longer: [
    (_request, response) => response.writeHead(206, { "content-range": "bytes 0-0/10000" }).end("xyz"),
    /the server sent more than the 1 bytes that it had announced/,
  ],
  "401": [status(401), /the server wants a login; [^\n]*\(401\): --user NAME, or --header/],
  "403": [status(403), /the server does not allow it; if the URL is signed, it may have expired \(403\)/],
  "404": [status(404), /there is no such file \(404\)/],
  "redirects without end": [redirect("/iso/disk.iso"), /the server redirects more than 5 times/],
  "a redirect to nowhere": [status(302), /the server redirects \(302\) to nowhere/],
  "a redirect to a file": [redirect("file:///etc/passwd"), /to file:, where no file can be read from/],
};

tests("a server that does something wrong: one line, and exit status 1", async ({ sandbox }) => {
  const lines = Object.entries(faults).map(async ([what, [answer, words]]) => {
    const web = await WebServer.start();
    sandbox.onEnd(() => web.close());
    web.always = answer;
    const line = await refused(sandbox, [`${web.url}?signed=s3cret`, "-"]);
    assert.ok(line.startsWith(`opening ${web.url}?…: `), `${what}: ${line}`);
    assert.match(line, words, what);
    assert.not.match(line, /\n|s3cret/, what);
    assert.ok(web.asked.length <= 6, `${what}: it is not tried again`);
  });
  await Promise.all(lines);
});

tests("headers and password go to one origin; nothing tells them", async ({ sandbox }) => {
  const [start, mirror] = [await WebServer.start(), await WebServer.start()];
  sandbox.onEnd(() => Promise.all([start.close(), mirror.close()]));
  start.always = redirect(`${mirror.url}?signed=s3cret`);
  const password = sandbox.path("password");
  await writeFile(password, "s3cret: Grüße\n", { mode: 0o600 });
  const image = start.url.replace("//", "//s3cret@");
  const gateway = await startGateway(sandbox);
  const args = [
    "--json",
    "--header",
    "X-Key: s3cret",
    "--header",
    "X-Other:s3cret",
    "--password-file",
    password,
  ];
  const server = sandbox.start(serve, [...args, `${image}?key=s3cret#s3cret`, `${gateway.url}local`]);
  await attached(gateway);
  const disk = await connectExport(attachedAt(sandbox).uri);
  assert.equal(Buffer.from(await disk.read(0, 10_000)), Buffer.from(mirror.image));
  const title = readFileSync(`/proc/${server.pid}/cmdline`, "utf8").replace(/[\0 ]+$/, "");
  assert.is(title, `nbd-serve ${start.url}?… ${gateway.url}local`);
  await disk.close();
  server.kill();
  await server.exit;

  const [first] = start.asked;
  assert.is(first!.headers["x-key"], "s3cret");
  assert.is(first!.headers["x-other"], "s3cret");
  const basic = Buffer.from("s3cret:s3cret: Grüße").toString("base64");
  assert.is(first!.headers.authorization, `Basic ${basic}`);
  assert.ok(mirror.asked.length > 0);
  for (const { headers } of mirror.asked) {
    assert.not.match(JSON.stringify(headers), /s3cret|Basic/);
  }
  assert.not.match(server.stdout + server.stderr + gateway.stderr, /s3cret/);
  const [started] = eventsOf(server.stdout);
  assert.is(started!.image, `${start.url}?…`);
});

tests("killed, and started again with another signature, it goes on", async ({ sandbox }) => {
  const web = await WebServer.start();
  sandbox.onEnd(() => web.close());
  const gateway = await startGateway(sandbox, { resume: 120 });
  const start = async (query: string): Promise<Running> => {
    const running = sandbox.start(serve, [`${web.url}?signed=${query}`, `${gateway.url}local`]);
    await until("it serves", () => / serving /.test(running.stderr));
    return running;
  };
  const first = await start("1");
  await attached(gateway);
  const disk = await connectExport(attachedAt(sandbox).uri);
  sandbox.onEnd(() => disk.close().catch(() => {}));
  await disk.read(0, 512);
  first.kill("SIGKILL");
  await first.exit;
  await start("2");
  await until("the gateway goes on", () => /the link is back/.test(gateway.stderr));
  assert.equal(Buffer.from(await disk.read(5000, 512)), Buffer.from(web.image.slice(5000, 5512)));
});

tests("options that make no sense are refused before anything is asked for", async ({ sandbox }) => {
  const web = await WebServer.start();
  sandbox.onEnd(() => web.close());
  const { url } = web;
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--writable", url], "--writable is for a file: what is on a web server is read only"],
    [["--header", "X-Key: s3cret", "disk.img"], "--header is for an IMAGE-URL"],
    [
      ["--user", "ann", "--password-file", "-", url],
      "--password-file -: standard input is the wire; name a file",
    ],
  ];
  const lines = await Promise.all(cases.map(([args]) => refused(sandbox, [...args, "-"])));
  assert.equal(
    lines,
    cases.map(([, words]) => words),
  );
  assert.is(web.asked.length, 0);
});

needing(tests, ["python3"])("the password is asked for, and not shown", async ({ sandbox }) => {
  const web = await WebServer.start();
  sandbox.onEnd(() => web.close());
  const gateway = await startGateway(sandbox);
  const command = [process.execPath, serve, "--user", "ann", web.url, `${gateway.url}local`];
  const terminal = new PseudoTerminal(sandbox, command);
  await terminal.untilLast("the question", (row) => row.startsWith("password of ann at 127.0.0.1:"));
  terminal.type("wrong\x15s3creX\x7ft\r");
  await attached(gateway);
  assert.is(web.asked[0]!.headers.authorization, `Basic ${Buffer.from("ann:s3cret").toString("base64")}`);
  assert.not.match(terminal.written, /s3cre|wrong/);
  terminal.type("\x03");
  assert.is(await within(10_000, "its end", terminal.ended()), "status 0");

  const other = new PseudoTerminal(sandbox, command);
  await other.untilLast("the question", (row) => row.startsWith("password of ann"));
  const asked = web.asked.length;
  other.type("s3cret\x03");
  assert.is(await within(10_000, "its end", other.ended()), "signal 2");
  assert.is(web.asked.length, asked);
});

tests.run();
