/** What a gateway is asked to fetch by itself: what it refuses, what becomes of it, and who may have its place. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import {
  join,
  memoryExport,
  nbdClient,
  nbdServer,
  socketTransport,
  webSocket,
} from "../../src/node/index.ts";
import { failure, isPending, sequence } from "../bytes.ts";
import { redirect, status, WebServer } from "../export/http/web-server.ts";
import { Sandbox, until, within } from "../harness.ts";
import { checkStatus } from "../node/gateway/status-schema.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";

/** Much more than is read ahead. */
const SIZE = 2_000_000;

/** It takes a while to make. */
const IMAGE = sequence(SIZE);

/** Where nobody has read yet. */
const FAR = 1_900_000;

interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
  server: WebServer;
  /** Where the disk is once it is there. */
  path: string;
}

const tests = eachWay<Context>("what a gateway fetches by itself");

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("nbd.sock");
  context.server = await WebServer.start();
  context.server.image = IMAGE;
});
tests.after.each(async ({ sandbox, running, server }) => {
  await running.close();
  await server.close();
  await sandbox.end();
});

/** Starts a gateway that may fetch what is under /iso/ of the web server. */
async function start(context: Context, keys: object = {}): Promise<void> {
  const { path, server, hasLogin, sandbox } = context;
  const local = {
    ...{ listen: `unix:${path}`, default: true, resume: 0, sources: [`${server.origin}/iso/`] },
    ...keys,
  };
  const none = { listen: `unix:${sandbox.path("none.sock")}` };
  Object.assign(context, await gatewayHere(sandbox, { local, none }, { hasLogin }));
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
  location: string | null;
}

async function post({ port, headers }: Context, path: string, body: unknown, signal?: AbortSignal) {
  return fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

async function pull(
  context: Context,
  url = context.server.url,
  { takeOver, path = "/pull/local" }: { takeOver?: boolean; path?: string } = {},
): Promise<Answer> {
  const body = { url, ...(takeOver !== undefined && { takeOver }) };
  const answer = await within(60_000, "the answer", post(context, path, body));
  return {
    status: answer.status,
    body: (await answer.json()) as Record<string, unknown>,
    location: answer.headers.get("location"),
  };
}

/** In place of a list of all that differs. */
const isSame = (bytes: Uint8Array, wanted: Uint8Array) =>
  assert.ok(Buffer.from(bytes).equals(wanted), "the bytes are those of the file");

const eject = ({ port, headers }: Context) =>
  fetch(`http://127.0.0.1:${port}/eject/local`, { method: "POST", headers });

const remoteAt = ({ path }: Context) =>
  nbdClient(socketTransport(connect({ path, allowHalfOpen: true })), { timeout: 60 });

async function local({ port, headers }: Context) {
  const answer = await fetch(`http://127.0.0.1:${port}/status`, { headers });
  const document = await answer.json();
  checkStatus(document);
  return document.configurations[0];
}

tests("a file becomes the disk, which is shown, and goes when it is ejected", async (context) => {
  const { server, path } = context;
  await start(context);
  const answer = await pull(context);
  assert.equal(answer, {
    status: 202,
    body: { configuration: "local", where: "unix socket" },
    location: "../status",
  });
  const remote = await remoteAt(context);
  assert.is(remote.write, undefined);
  isSame(await remote.read(0, remote.size), server.image);
  await remote.close();
  const { state, session } = await local(context);
  assert.is(state, "attached");
  assert.equal(session.peer, { address: null, source: server.url });
  assert.equal(session.medium, { name: "disk.iso", size: SIZE, isWritable: false });
  assert.ok(session.link.received >= SIZE);
  assert.is((await eject(context)).status, 204);
  assert.not(existsSync(path));
  assert.is((await local(context)).state, "free");
  assert.match(context.log.join("\n"), /^local: ejected after \d+ s, 2\.0 MB in \d+ reads?$/m);
  // Its place is free.
  assert.is((await pull(context, server.url, { path: "/pull/" })).status, 202);
});

tests("what the sources do not allow is not connected to", async (context) => {
  const { server } = context;
  await start(context);
  for (const url of [
    `${server.origin}/other/disk.iso`,
    `${server.origin}/iso/../other/disk.iso`,
    `${server.origin}/iso/%2e%2e/disk.iso`,
    `${server.origin}/iso/`,
    `${server.url}?secret=x`,
    server.url.replace("http://", "http://user:secret@"),
    server.url.replace("127.0.0.1", "localhost"),
    server.url.replace("http:", "https:"),
    "file:///etc/passwd",
    "",
  ]) {
    const { status, body } = await pull(context, url);
    assert.is(status, 403, url);
    assert.match(String(body.error), / is not fetched: /, url);
    assert.not.match(`${body.error}${context.log.join()}`, /secret/);
  }
  assert.is((await pull(context, server.url, { path: "/pull/none" })).status, 403, "it has no sources");
  assert.equal(server.asked, []);
});

tests("nor is what a redirect leads to, of which the words tell no address of ours", async (context) => {
  const { server } = context;
  await start(context);
  server.always = (request, response) =>
    request.url === "/iso/disk.iso"
      ? redirect("/secret/disk.iso")(request, response)
      : server.part(request, response);
  const { status, body } = await pull(context);
  assert.is(status, 403);
  assert.match(String(body.error), / is not fetched: it is redirected, and then /);
  assert.is(server.asked.length, 1);
  assert.is((await local(context)).state, "free");
});

tests("who asks for something else is refused in words", async (context) => {
  const { server } = context;
  await start(context);
  assert.is((await pull(context, server.url, { path: "/pull/other" })).status, 404);
  const bodies = ["", "x", "[]", "{}", { url: 1 }, { url: server.url, more: 1 }, { url: "x", takeOver: 1 }];
  for (const body of bodies) {
    const answer = await post(context, "/pull/local", body);
    assert.is(answer.status, 400, JSON.stringify(body));
    assert.match(String(((await answer.json()) as { error: string }).error), /^the body is not /);
  }
  assert.equal(server.asked, []);
});

tests("a file that cannot be read: one line that says why, and no disk", async (context) => {
  const { server, path } = context;
  await start(context);
  server.always = status(404);
  const missing = await pull(context);
  assert.is(missing.status, 502);
  assert.match(String(missing.body.error), /^opening http:\/\/127\.0\.0\.1:\d+\/iso\/disk\.iso: .*404/);
  server.always = (request, response) => {
    delete request.headers.range;
    server.part(request, response);
  };
  const rangeless = await pull(context);
  assert.is(rangeless.status, 502);
  assert.not(existsSync(path));
  server.always = (request, response) => server.part(request, response);
  assert.is((await pull(context)).status, 202);
});

/** A server of a client that connects by itself. */
function serve({ port, headers: login }: Context, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/local`, { headers: { ...login, ...headers } });
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  join(webSocket(socket), nbdServer(memoryExport(new Uint8Array(4096)), { name: "theirs.iso" })).catch(
    () => {},
  );
  return { closed, stop: () => socket.close(1000) };
}

async function size(context: Context): Promise<number> {
  const remote = await remoteAt(context);
  await remote.close();
  return remote.size;
}

tests("a configuration in use is taken over where that is asked for, both ways", async (context) => {
  const { server, hasLogin, path } = context;
  await start(context, { "take-over-interval": 0 });
  const first = serve(context);
  await until("the first is served", () => existsSync(path));
  const refused = await pull(context);
  assert.is(refused.status, 409);
  assert.match(
    String(refused.body.error),
    hasLogin ? /^in use since .* by theirs\.iso/ : /in use by another/,
  );
  assert.equal(server.asked, [], "it is refused before anything is fetched");

  assert.is((await pull(context, server.url, { takeOver: true })).status, 202);
  assert.equal(await within(5000, "the first's end", first.closed), [4001, "taken over by 127.0.0.1"]);
  assert.is(await size(context), server.image.length);

  const second = serve(context);
  const [code, words] = await within(5000, "the refusal", second.closed);
  assert.is(code, 4002);
  if (hasLogin) assert.match(words, /^in use since .* by disk\.iso from 127\.0\.0\.1/);
  const again = await pull(context);
  assert.is(again.status, 409);
  const third = serve(context, { "Nbd-Take-Over": "1" });
  await until(
    "the third is served",
    async () => (await local(context)).session?.medium?.name === "theirs.iso",
  );
  await until("its disk is there", () => existsSync(path));
  assert.is(await size(context), 4096);
  third.stop();
  await third.closed;
});

tests.once("it is not taken over where that is forbidden", async (context) => {
  await start(context, { "take-over": false });
  serve(context);
  await until("the first is served", () => existsSync(context.path));
  const { status, body } = await pull(context, context.server.url, { takeOver: true });
  assert.is(status, 409);
  assert.match(String(body.error), /^this configuration cannot be taken over/);
  assert.equal(context.server.asked, []);
});

tests.once(
  "who goes before the disk is there calls it off; until then no other file is opened",
  async (context) => {
    const { server } = context;
    await start(context);
    server.always = () => {}; // it says nothing
    const going = new AbortController();
    const asked = post(context, "/pull/local", { url: server.url }, going.signal);
    asked.catch(() => {});
    await until("the server is asked", () => server.open === 1);
    const other = await pull(context);
    assert.is(other.status, 409);
    assert.match(String(other.body.error), /^another file is about to be/);
    going.abort();
    await until("the server is left alone", () => server.open === 0);
    server.always = (request, response) => server.part(request, response);
    await until("the next one can", async () => (await pull(context)).status === 202);
  },
);

tests.once(
  "the disk waits for a server that goes away, and asks at once when the URL comes again",
  async (context) => {
    const { server } = context;
    const { port, url } = server;
    await start(context, { resume: 60 });
    assert.is((await pull(context)).status, 202);
    const remote = await remoteAt(context);
    isSame(await remote.read(0, 100), server.image.subarray(0, 100));
    await server.close();
    const reading = remote.read(FAR, 100);
    await until("it waits", async () => (await local(context)).state === "waiting", 30_000);
    assert.ok(await isPending(reading));
    const early = await pull(context, url);
    assert.is(early.status, 502);
    assert.match(String(early.body.error), /nothing listens there/);
    const another = await pull(context, url.replace("disk", "other"));
    assert.is(another.status, 409);
    await server.listen(port);
    assert.is((await pull(context, url)).status, 202);
    isSame(await within(10_000, "the read", reading), server.image.subarray(FAR, FAR + 100));
    const { state, session } = await local(context);
    assert.is(state, "attached");
    assert.is(session.link.losses, 1);
    await remote.close();
  },
);

tests.once(
  "a disk whose server does not come back is given up; one that waits is ejected",
  async (context) => {
    const { server, path } = context;
    await start(context, { resume: 0.2 });
    assert.is((await pull(context)).status, 202);
    await server.close();
    const remote = await remoteAt(context);
    await failure(remote.read(FAR, 100));
    await until("the disk is gone", () => !existsSync(path));
    await until("it is told", () => /the disk is given up/.test(context.log.join("\n")));
    assert.match(
      (await local(context)).lastError.words,
      /^the file's server did not come back within 0\.2 s/,
    );
  },
);

tests.once(
  "a server that says nothing any more is waited for after the timeout of the configuration",
  async (context) => {
    const { server } = context;
    await start(context, { resume: 60, timeout: 0.5 });
    assert.is((await pull(context)).status, 202);
    const remote = await remoteAt(context);
    server.always = () => {};
    const reading = remote.read(FAR, 100);
    await until("it waits", async () => (await local(context)).state === "waiting");
    server.always = (request, response) => server.part(request, response);
    isSame(await within(30_000, "the read", reading), server.image.subarray(FAR, FAR + 100));
    await remote.close();
  },
);

tests.once("a disk that does not wait fails after that time", async (context) => {
  const { server } = context;
  await start(context, { timeout: 0.5 });
  assert.is((await pull(context)).status, 202);
  const remote = await remoteAt(context);
  server.always = status(503, { "retry-after": "30" });
  const fault = await within(10_000, "the fault", failure(remote.read(FAR, 100)));
  assert.match(fault.message, /EIO/);
  await remote.close();
});

tests.once("a disk that waits is ejected at once", async (context) => {
  const { server, path } = context;
  await start(context, { resume: 600 });
  assert.is((await pull(context)).status, 202);
  await server.close();
  const remote = await remoteAt(context);
  remote.read(FAR, 100).catch(() => {});
  await until("it waits", async () => (await local(context)).state === "waiting", 30_000);
  assert.is((await within(10_000, "the end", eject(context))).status, 204);
  assert.not(existsSync(path));
});

for (const isAway of [false, true]) {
  const when = isAway ? "when the server is back" : "at once";
  tests.once(`another file at the URL is EIO and words, and never a mixture: ${when}`, async (context) => {
    const { server } = context;
    const { port } = server;
    await start(context, { resume: 60 });
    assert.is((await pull(context)).status, 202);
    const remote = await remoteAt(context);
    isSame(await remote.read(0, 100), server.image.subarray(0, 100));
    if (isAway) await server.close();
    const reading = isAway ? failure(remote.read(FAR, 100)) : undefined;
    if (isAway) await until("it waits", async () => (await local(context)).state === "waiting", 30_000);
    server.image = sequence(SIZE, 7);
    server.validators = { etag: '"two"' };
    if (isAway) await server.listen(port);
    const fault = await within(30_000, "the fault", reading ?? failure(remote.read(FAR, 100)));
    assert.match(fault.message, /EIO/);
    await until("words", () => /the file was changed on the server/.test(context.log.join("\n")));
    await remote.close();
  });
}

tests.run();
