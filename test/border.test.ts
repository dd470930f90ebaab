/** What is passed to the library is checked where it enters: an error in words, and nothing that hangs. */
import { readFileSync } from "node:fs";
import { connect, createServer, Socket } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as anywhere from "../src/index.ts";
import * as protocol from "../src/nbd/protocol.ts";
import * as fixtures from "../src/node/fixtures.ts";
import * as main from "../src/node/index.ts";
import * as resuming from "../src/resume.ts";
import * as streams from "../src/streams/index.ts";
import { failure, sequence } from "./bytes.ts";
import { root, within } from "./harness.ts";

const library = { ...streams, ...protocol, ...resuming, ...fixtures, ...main };
const {
  blobExport,
  memoryExport,
  nbdClient,
  nbdServer,
  transportPair,
  ByteBudget,
  ReadCache,
  MemoryBudget,
  LinkMeter,
  NBDServer: PageServer,
} = library;

const tests = suite("the border of the library");

/** Passes what no type allows. */
// biome-ignore lint/suspicious/noExplicitAny: what is passed is wrong on purpose
type Wrong = any;

/** The words of JavaScript itself, of which nobody can tell what was wrong. */
const NO_WORDS =
  /Cannot (read|destructure|use|convert)|is not a function|is not iterable|is not a constructor|undefined \(/;

const disk = (changes: object = {}): Wrong => ({ ...memoryExport(sequence(4096)), ...changes });
const sizes = [Number.NaN, 1000.5, undefined, null, -1, 2 ** 53, Number.POSITIVE_INFINITY, "4096", 4096n];
const exports: Wrong[] = [
  undefined,
  null,
  "disk.img",
  {},
  () => {},
  ...sizes.map((size) => disk({ size })),
  disk({ read: undefined }),
  disk({ read: "no" }),
  disk({ close: undefined }),
  disk({ write: true }),
  disk({ blockSize: { minimum: 3, preferred: 4096, maximum: 4096 } }),
  disk({ blockSize: { minimum: 0, preferred: 4096, maximum: 4096 } }),
  disk({ blockSize: { minimum: 512, preferred: 256, maximum: 4096 } }),
  disk({ blockSize: { minimum: 512, preferred: 4096, maximum: 1 } }),
  disk({ blockSize: {} }),
];
const amounts: Wrong[] = [Number.NaN, -1, undefined, null, "1", 1n];
const duplexes: Wrong[] = [
  undefined,
  null,
  {},
  new Socket(),
  new ReadableStream(),
  { readable: true, writable: true },
];
const transports: Wrong[] = [...duplexes, { readable: new ReadableStream(), writable: new WritableStream() }];
const times: Wrong[] = [Number.NaN, -1, 2 ** 31, "30"];
/** Of the longest message. */
const lengths: Wrong[] = [Number.NaN, 0, 63, "64"];
const names: Wrong[] = [1, null, "x".repeat(4097), "é".repeat(2049)];
const near = (): Wrong => transportPair()[0];
const opened = (changes: object = {}): Wrong => ({
  target: disk(),
  ended: new Promise(() => {}),
  incarnation: "a",
  ...changes,
});
const word = "AAECAwQFBgcICQoLDA0ODw";
const negotiated = { size: 4096, flags: 1 };
const aheadOf = () => ({
  cache: new ReadCache(disk(), { budget: 1000 }),
  meter: new LinkMeter({ ceiling: 1 }),
  limit: 1,
});
const config: Wrong = { configurations: new Map(), allowedHosts: [], warnings: [], file: "" };

/** Each function of the library, with arguments that it must refuse. */
const table: Record<string, (call: (...args: Wrong[]) => unknown) => (() => unknown)[]> = {
  blobExport: (call) => [undefined, null, "x", new Uint8Array(1), { size: 1 }].map((x) => () => call(x)),
  memoryExport: (call) => [undefined, "x", [1], new ArrayBuffer(1)].map((x) => () => call(x)),
  httpExport: (call) => [
    ...[undefined, null, 1, {}].map((x) => () => call(x)),
    ...[0, 1.5, 2 ** 31, "1"].map((timeout) => () => call("http://127.0.0.1/", { timeout })),
    ...[-1, Number.NaN, "1"].map((retries) => () => call("http://127.0.0.1/", { retries })),
    ...[0, 1.5, "1"].map((concurrency) => () => call("http://127.0.0.1/", { concurrency })),
    () => call("http://127.0.0.1/", { headers: 1 }),
    () => call("http://127.0.0.1/", { headers: { Range: "bytes=0-1" } }),
    () => call("http://127.0.0.1/", { onnote: 1 }),
    () => call("http://127.0.0.1/", { fetch: 1 }),
    () => call("http://127.0.0.1/", { signal: 1 }),
  ],
  forward: (call) => exports.map((x) => () => call(x)),
  cache: (call) => [
    () => call(),
    ...amounts.map((budget) => () => call({ budget })),
    () => call({ budget: 1000, memory: 1000 }),
    ...exports.map((x) => () => (call({ budget: 1000 }) as Wrong)(x)),
  ],
  ReadCache: (call) => [
    () => call(disk()),
    ...amounts.map((budget) => () => call(disk(), { budget })),
    () => call(disk(), { budget: 1000, memory: 1000 }),
    ...exports.map((x) => () => call(x, { budget: 1000 })),
  ],
  windows: (call) => [
    () => call(),
    ...amounts.map((budget) => () => call({ budget })),
    ...exports.map((x) => () => (call({ budget: 1000 }) as Wrong)(x)),
  ],
  fast: (call) => [
    () => call(),
    () => call({}),
    () => call({ window: {} }),
    ...[0, Number.NaN].map((request) => () => call({ window: { request, outstanding: 1 } })),
    () => call({ window: { request: 1, outstanding: 1 }, budget: -1 }),
    ...exports.map((x) => () => (call({ window: { request: 1, outstanding: 1 } }) as Wrong)(x)),
  ],
  statistics: (call) => [
    () => call(),
    () => call({ reads: 0 }),
    ...exports.map((x) => () => (call(new library.Statistics()) as Wrong)(x)),
  ],
  Statistics: (call) => [
    () => call({ now: 1 }),
    ...exports.map((x) => () => new library.Statistics().over(x)),
    ...[-1, 0.5, "1"].map((cells) => () => new library.Statistics().snapshot(cells as Wrong)),
  ],
  metered: (call) => [
    () => call(),
    () => call({}),
    ...exports.map((x) => () => (call(new LinkMeter({ ceiling: 1 })) as Wrong)(x)),
  ],
  readAhead: (call) => [
    () => call(),
    () => call({ ...aheadOf(), cache: {} }),
    () => call({ ...aheadOf(), meter: {} }),
    () => call({ ...aheadOf(), longest: 0 }),
    ...amounts.map((limit) => () => call({ ...aheadOf(), limit })),
    ...exports.map((x) => () => (call(aheadOf()) as Wrong)(x)),
  ],
  watchReads: (call) => [
    () => call(),
    () => call({}),
    () => call({ onfailing() {}, onworking: "log" }),
    () => call({ onfailing() {}, onworking() {}, trial: 1 }),
    ...exports.map((x) => () => (call({ onfailing() {}, onworking() {} }) as Wrong)(x)),
  ],
  LinkMeter: (call) => [() => call(), ...amounts.map((ceiling) => () => call({ ceiling }))],
  writeZeroesPiecewise: (call) => [
    () => call(undefined, 0, 1),
    () => call(disk({ write: undefined }), 0, 1),
    () => call(disk(), 0.5, 1),
    () => call(disk(), 0, Number.NaN),
  ],
  ExportError: (call) => [undefined, 0, 2, "EIO"].map((errno) => () => call(errno, "no")),
  NBDServer: (call) => [
    () => call(),
    () => call(1, new Blob([])),
    () => call("ws://127.0.0.1/"),
    () => call("ws://127.0.0.1/", "disk.img"),
    () => call("ws://127.0.0.1/", new Uint8Array(1)),
    ...[Number.NaN, -1, "1"].map((cache) => () => call("ws://127.0.0.1/", new Blob([]), { cache })),
    () => call("ws://127.0.0.1/", new Blob([]), { onerror: 1 }),
    () => call("ws://127.0.0.1/", new Blob([]), { onprogress: 1 }),
    ...lengths.map((maxMessage) => () => call("ws://127.0.0.1/", new Blob([]), { maxMessage })),
    () => call(() => {}, new Blob([]), { protocols: ["nbd"] }),
  ],
  ByteBudget: (call) => [
    ...amounts.map((total) => () => call(total)),
    () => call(1, { reserve: -1 }),
    () => call(1, { assured: Number.NaN }),
    () => call(1, { assuredToAll: -1 }),
    ...amounts.map((limit) => () => new ByteBudget(1).share(limit)),
  ],
  MemoryBudget: (call) => [
    ...amounts.map((limit) => () => call(limit)),
    ...[undefined, {}].map((keeper) => () => new MemoryBudget(1).share(keeper as Wrong)),
  ],
  withWordsForOthers: (call) => [undefined, "no"].map((error) => () => call(error)),
  concurrent: (call) => [
    () => call(undefined, { limit: 1 }),
    ...[0, Number.NaN, undefined].map((limit) => () => call(async () => {}, { limit })),
    () => call(async () => {}, { limit: 1, signal: {} }),
  ],
  join: (call) => [
    ...duplexes.map((x) => () => call(x, near())),
    ...duplexes.map((x) => () => call(near(), x)),
    () => call(near(), near(), { signal: 1 }),
  ],
  negotiate: (call) => [...duplexes.map((x) => () => call(x, async () => {})), () => call(near())],
  parse: (call) => [() => call(), () => call({})],
  transform: (call) => [() => call(), () => call({})],
  record: (call) => [
    ...transports.map((x) => () => call(x, "client", () => {})),
    () => call(near(), "nobody", () => {}),
    () => call(near(), "client"),
  ],
  replay: (call) => [
    () => call(undefined, { as: "client" }),
    () => call([], { as: "nobody" }),
    () => call([], { as: "client", chunkSize: 0 }),
    ...times.map((timeout) => () => call([], { as: "client", timeout })),
  ],
  replayLayer: (call) => duplexes.map((x) => () => call(x, [], { as: "client" })),
  parseConversation: (call) => [() => call(), () => call(new Uint8Array(1))],
  webSocket: (call) => [
    ...[undefined, null, {}, "ws://127.0.0.1/", new Socket()].map((x) => () => call(x)),
    ...["sendBuffer", "receiveBuffer", "receiveLimit"].map(
      (name) => () =>
        call({ send() {}, close() {}, addEventListener() {}, readyState: 1 }, { [name]: Number.NaN }),
    ),
    ...lengths.map(
      (maxMessage) => () =>
        call({ send() {}, close() {}, addEventListener() {}, readyState: 1 }, { maxMessage }),
    ),
  ],
  nbdClient: (call) => [
    ...transports.map((x) => () => call(x)),
    ...names.map((name) => () => call(near(), { name })),
    ...[...times, 2147484].map((timeout) => () => call(near(), { timeout })),
    ...times.map((reply) => () => call(near(), { handshakeTimes: { greeting: 1, reply, whole: 1 } })),
    () => call(near(), { signal: {} }),
  ],
  beginHandshake: (call) => [
    ...transports.map((x) => () => call(x)),
    ...[...times, 2147484].map((timeout) => () => call(near(), { timeout })),
    ...[undefined, 5, "", "short", `${word}A`].map(
      (nonce) => () => call(near(), { introduce: { nonce, wait: 1 } }),
    ),
    ...[...times, 0.5].map((wait) => () => call(near(), { introduce: { nonce: word, wait } })),
    () => call(near(), { introduce: null }),
    () => call(near(), { signal: {} }),
  ],
  introducing: (call) => [undefined, {}, { answer() {} }, { keep() {} }].map((x) => () => call(x)),
  proofOf: (call) => [() => call(), () => call(word), () => call("key", word), () => call(word, 5)],
  samplePlaces: (call) => [
    ...sizes.map((size) => () => call(size, word)),
    ...[undefined, 5, "AA=="].map((nonce) => () => call(4096, nonce)),
  ],
  sampled: (call) => [
    ...[undefined, null, {}, { size: 4096 }].map((x) => () => call(x, word)),
    ...sizes.map((size) => () => call(disk({ size }), word)),
    () => call(disk(), "AA=="),
  ],
  resume: (call) => [
    ...[undefined, null, {}, opened({ ended: undefined }), opened({ incarnation: 1 })].map(
      (x) => () => call(x, { open() {}, log() {} }),
    ),
    ...exports.map((target) => () => call(opened({ target }), { open() {}, log() {} })),
    ...[undefined, {}, { open() {} }, { open: 1, log() {} }].map((x) => () => call(opened(), x)),
    ...[
      { onstate: 1 },
      { memory: 1000 },
      { held: {} },
      { held: { calls: 0, bytes: 1 } },
      { held: { calls: 1, bytes: -1 } },
    ].map((x) => () => call(opened(), { open() {}, log() {}, ...x })),
  ],
  UnflushedMemory: (call) => [
    ...amounts.filter((limit) => limit !== undefined).map((limit) => () => call(limit)),
    ...[undefined, {}].map((relieve) => () => new library.UnflushedMemory().share(relieve as Wrong)),
  ],
  listExports: (call) => [...transports.map((x) => () => call(x)), () => call(near(), { signal: {} })],
  inquireExport: (call) => [...transports.map((x) => () => call(x)), () => call(near(), "", { signal: {} })],
  clientHandshake: (call) => [() => call(undefined, ""), () => call({}, "")],
  serverHandshake: (call) => [
    () => call(undefined, [{ name: "", target: disk() }]),
    () => call({ read() {}, write() {} }, []),
    ...exports.map((target) => () => call({ read() {}, write() {} }, [{ name: "", target }])),
  ],
  nbdServer: (call) => [
    ...exports.map((x) => () => call(x)),
    ...exports.map((target) => () => call([{ name: "", target }])),
    ...names.map((name) => () => call(disk(), { name })),
    ...names.map((name) => () => call([{ name, target: disk() }])),
    ...names.map((description) => () => call(disk(), { description: description ?? 1 })),
    () => call([]),
    () => call([undefined]),
    ...[0, Number.NaN, "1"].map((limit) => () => call(disk(), { limit })),
    () => call(disk(), { room: {} }),
    () => call(disk(), { onerror: "log" }),
    () => call(disk(), { signal: {} }),
    ...[-1, 0.5, 2 ** 40].map((gatherUpTo) => () => call(disk(), { gatherUpTo })),
  ],
  requestHandler: (call) => [
    ...exports.map((x) => () => call(x, negotiated)),
    () => call(disk()),
    () => call(disk(), {}),
    () => call(disk(), negotiated, { limit: 0 }),
  ],
  transmission: (call) => [
    ...exports.map((x) => () => call(x, negotiated)),
    () => call(disk()),
    () => call(disk(), { size: Number.NaN, flags: 1 }),
    () => call(disk(), negotiated, { onerror: 1 }),
  ],
  transmissionFlags: (call) => exports.map((x) => () => call(x)),
  requestParser: (call) => [() => call({}, { room: {} }), () => call({}, { room: 1000 })],
  serve: (call) => [
    ...transports.map((x) => () => call(x, disk())),
    ...exports.map((x) => () => call(near(), x)),
    () => call(near(), disk(), { signal: {} }),
    () => call(near(), disk(), { name: 1 }),
  ],
  serveClient: (call) => [
    ...transports.map((x) => () => call(x, disk())),
    ...exports.map((x) => () => call(near(), x)),
    () => call(near(), disk(), { signal: {} }),
  ],
  messagePort: (call) => [undefined, null, {}, new ReadableStream()].map((x) => () => call(x)),
  connect: (call) => [
    ...[undefined, 1, "", "nbd://127.0.0.1/", "ws:", "ws://127.0.0.1:99999/"].map((x) => () => call(x)),
    () => call("ws://127.0.0.1/", { origin: "\n" }),
    ...times.map((handshakeTime) => () => call("ws://127.0.0.1/", { handshakeTime })),
    ...lengths.map((maxMessage) => () => call("ws://127.0.0.1/", { maxMessage })),
  ],
  logIn: (call) => [
    ...[undefined, 1, "", "ws://127.0.0.1/", "disk.img"].map((x) => () => call(x)),
    () => call("http://127.0.0.1:1/"),
    ...[1, "", "short"].map((token) => () => call("http://127.0.0.1:1/", { token })),
    () => call("http://10.0.0.1/", { token: "x".repeat(43) }),
  ],
  connectExport: (call) => [
    ...[undefined, null, 1, "", "disk.img", "nbds://127.0.0.1/", "http://127.0.0.1/"].map(
      (x) => () => call(x),
    ),
    () => call("nbd://127.0.0.1/", { name: "disk" }),
    () => call("nbd://127.0.0.1/", { signal: {} }),
    () => call("nbd://127.0.0.1/", { maxMessage: 64 }),
    ...lengths.map((maxMessage) => () => call("ws://127.0.0.1/", { maxMessage })),
  ],
  chooseConfiguration: (call) => [() => call(), () => call("config.json")],
  metadataOf: (call) => [() => call()],
  parseConfig: (call) => [() => call("config.json"), () => call("config.json", {})],
  readConfig: (call) => [() => call(5.5), () => call({})],
  formatAddress: (call) => [() => call(), () => call("unix:/x")],
  fileExport: (call) => [undefined, 3.5, "disk.img", {}].map((x) => () => call(x)),
  openFileExport: (call) => [undefined, 3.5, {}].map((x) => () => call(x)),
  socketTransport: (call) => [undefined, {}, new ReadableStream()].map((x) => () => call(x)),
  recordToFile: (call) => transports.map((x) => () => call(x, "client", "file", "title")),
  listen: (call) => [
    ...exports.map((x) => () => call(x, "tcp:127.0.0.1:0")),
    ...[
      undefined,
      null,
      "",
      "/x.sock",
      "unix:",
      "tcp:127.0.0.1",
      "tcp:127.0.0.1:99999",
      5,
      {},
      { path: "" },
    ].map((address) => () => call(disk(), address)),
    () => call(disk(), { path: 5 }),
    ...[-1, 65536, 1.5, undefined].map((port) => () => call(disk(), { host: "127.0.0.1", port })),
    ...times.map((handshakeTime) => () => call(disk(), "tcp:127.0.0.1:0", { handshakeTime })),
    ...names.map((name) => () => call(disk(), "tcp:127.0.0.1:0", { name })),
    ...[0, 1.5, "1"].map((maxClients) => () => call(disk(), "tcp:127.0.0.1:0", { maxClients })),
    () => call(disk(), "tcp:127.0.0.1:0", { log: 1 }),
    () => call(disk(), "tcp:127.0.0.1:0", { budget: 1000 }),
    () => call(disk(), "tcp:127.0.0.1:0", { onerror: 1 }),
  ],
  session: (call) => [
    ...transports.map((x) => () => call(x, {}, {})),
    () => call(near()),
    () => call(near(), {}),
  ],
  gateway: (call) => [
    () => call(),
    () => call({}),
    ...[-1, 65536, 1.5, "8000"].map((port) => () => call({ config, staticFolder: "", log() {}, port })),
    () => call({ config, staticFolder: "", log() {}, host: 1 }),
    () => call({ config, log() {} }),
    () => call({ config, staticFolder: "", log() {}, access: 1 }),
    () => call({ config, staticFolder: "" }),
    ...[0, 1.5, "1"].map(
      (maxConnections) => () => call({ config, staticFolder: "", log() {}, maxConnections }),
    ),
    ...times.map((pingInterval) => () => call({ config, staticFolder: "", log() {}, pingInterval })),
    ...times.map((idleTime) => () => call({ config, staticFolder: "", log() {}, idleTime })),
  ],
  tokenAccess: (call) => [
    () => call(),
    () => call({}),
    () => call({ tokenFile: 1, log() {} }),
    () => call({ tokenFile: "/nowhere" }),
  ],
  certificateFiles: (call) => [
    () => call(),
    () => call({ certFile: "/a", keyFile: "/b" }),
    () => call({ certFile: 1, keyFile: "/b", log() {} }),
    () => call({ certFile: "/a", log() {} }),
    ...times.map((lookInterval) => () => call({ certFile: "/a", keyFile: "/b", log() {}, lookInterval })),
  ],
  selfSigned: (call) => [
    () => call(),
    () => call({ folder: 1, host: "a", log() {} }),
    () => call({ folder: "/nowhere", log() {} }),
    () => call({ folder: "/nowhere", host: "a" }),
    ...times.map((lookInterval) => () => call({ folder: "/nowhere", host: "a", log() {}, lookInterval })),
  ],
  kernelDevice: (call) => [...exports.map((x) => () => call(x, {})), () => call(disk())],
  claimDevice: (call) => [() => call(), () => call("/dev/nbd0")],
};

/** What takes no argument, any at all, or one message of many, for which a check would cost more than it is worth. */
const unchecked = new Set([
  ...["duplexPair", "transportPair", "stdioTransport", "kernelSocket", "push"],
  ...["errnoName", "isErrno", "wordsForOthers", "nameOf", "flagNames", "otherSide", "parseAddress"],
  "defaultTokenFile",
  ...["concat", "lend", "giveBack", "isLent", "ByteQueue", "Parsing", "Describer"],
  ...["struct", "magic", "replyEncoder"],
  ...["formatMessage", "formatConversation"],
]);

const isClass = (value: object) => /^class\b/.test(Function.prototype.toString.call(value));

for (const [name, value] of Object.entries(library)) {
  if (typeof value !== "function" || unchecked.has(name)) continue;
  // Errors are made by the library itself.
  if (value.prototype instanceof Error && name !== "ExportError") continue;
  tests(`${name} refuses what is wrong, in words`, async () => {
    const call = (...args: Wrong[]): unknown =>
      isClass(value) ? Reflect.construct(value, args) : (value as Wrong)(...args);
    const calls = table[name]?.(call) ?? [];
    assert.ok(calls.length > 0, "the table has nothing about it");
    for (const [i, wrong] of calls.entries()) {
      const error = await within(5000, `call ${i}`, failure((async () => wrong())()));
      const what = `${name}, call ${i}: ${error.name}: ${error.message}`;
      assert.ok(
        error instanceof TypeError || error instanceof RangeError || error.name === "ConfigError",
        what,
      );
      assert.not.match(error.message, NO_WORDS, what);
    }
  });
}

for (const [what, use] of [
  ["nbdClient", nbdClient],
  ["beginHandshake", library.beginHandshake],
  ["listExports", library.listExports],
  ["inquireExport", library.inquireExport],
] as const) {
  tests(`${what} with a socket in place of a transport: nothing stays open`, async () => {
    const server = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const error = await failure(use(socket as Wrong));
    assert.match(
      error.message,
      /^the transport must be a transport, .* not a Socket; webSocket\(\), .*socketTransport/,
    );
    await within(2000, "the end of the socket", closed);
    server.close();
  });
}

/** A client of a disk in memory of 4,096 bytes. */
async function remoteDisk() {
  const [a, b] = transportPair();
  const served = library.join(a, nbdServer(disk()));
  served.catch(() => {});
  return { remote: (await nbdClient(b)) as Wrong, far: a };
}

tests("a remote export refuses ranges and data that make no sense, and its link stays up", async () => {
  const { remote } = await remoteDisk();
  const ranges: Wrong[][] = [
    [0.5, 10],
    [0, 10.5],
    [-1, 10],
    [0, -1],
    [0, 4097],
    [4096, 1],
    [5000, 0],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
    [2 ** 53, 1],
    ["0", 10],
    [0, 10n],
    [undefined, undefined],
  ];
  for (const method of ["read", "trim", "writeZeroes", "extents"]) {
    if (!remote[method]) continue;
    for (const range of ranges) {
      const error = await failure(remote[method](...range));
      assert.ok(error instanceof TypeError || error instanceof RangeError, `${method}(${range}): ${error}`);
      assert.match(error.message, new RegExp(`^${method}: `));
    }
  }
  for (const [offset] of ranges.slice(0, 3).filter(([at]) => at !== 0)) {
    assert.match((await failure(remote.write(offset, sequence(10)))).message, /^write: the offset must be/);
  }
  assert.instance(await failure(remote.write(4090, sequence(10))), RangeError);
  for (const data of ["hello", [1, 2], new ArrayBuffer(4), undefined, new Uint16Array(2)]) {
    assert.match(
      (await failure(remote.write(0, data))).message,
      /^write: the data must be a Uint8Array, not /,
    );
  }
  assert.equal(await remote.read(0, 4096), sequence(4096));
  await remote.close();
});

tests("what is asked after a link was lost says what it was lost by", async () => {
  const { remote, far } = await remoteDisk();
  far.close(new Error("the cable was cut"));
  await failure(remote.closed);
  const error = await failure(remote.read(0, 10));
  assert.instance(error, library.ExportError);
  assert.is((error as main.ExportError).errno, library.Errno.EIO);
  assert.match(error.message, /^the link to the server is gone: .*the cable was cut$/);
  assert.match(String((error.cause as Error).message), /the cable was cut/);
});

tests("what is asked after a link was closed says so", async () => {
  const { remote } = await remoteDisk();
  await remote.close();
  assert.is(
    (await failure(remote.read(0, 10))).message,
    "the link to the server is gone: the export was closed",
  );
});

/** The names that a page has anyway, as TypeScript declares them. */
function globalsOfPages(): Set<string> {
  const folder = `node_modules/@typescript/typescript-${process.platform}-${process.arch}/lib`;
  const text = readFileSync(join(root, folder, "lib.dom.d.ts"), "utf8");
  const declared = text.matchAll(/^(?:interface|type|declare (?:var|function|const)) (\w+)/gm);
  return new Set([...declared].map(([, name]) => name!));
}

/** The names that an entry exports, types too. */
function exportedNames(path: string): string[] {
  const text = readFileSync(join(root, "src", path), "utf8");
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list]) => list!);
  const names = lists.flatMap((list) => list.split(",")).map((name) => name.trim().split(/\s+/).at(-1)!);
  return names.filter((name) => name !== "");
}

tests("no entry hides a name that pages and Node have anyway", () => {
  const known = globalsOfPages();
  for (const name of ["Request", "Option", "Response", "ReadableStream"]) assert.ok(known.has(name), name);
  for (const entry of [main, streams, protocol, resuming, fixtures]) {
    for (const name of Object.keys(entry)) {
      assert.not(known.has(name) || name in globalThis, `${name} is a global variable`);
    }
  }
  const entries = [
    ...["index.ts", "streams/index.ts", "nbd/protocol.ts", "resume.ts", "fixtures.ts", "node/index.ts"],
  ];
  for (const entry of entries) {
    const names = exportedNames(entry);
    assert.ok(names.length > 3, entry);
    for (const name of names) assert.not(known.has(name), `${entry}: ${name} is a type of every page`);
  }
});

tests("the main entry is small, and what is in two entries is one thing", () => {
  assert.ok(Object.keys(anywhere).length <= 39, `${Object.keys(anywhere).length} names`);
  const names = new Map<string, unknown>();
  for (const entry of [main, streams, protocol, resuming, fixtures]) {
    for (const [name, value] of Object.entries(entry)) {
      assert.ok(!names.has(name) || names.get(name) === value, `${name} is two things`);
      names.set(name, value);
    }
  }
  // What runs anywhere is in Node too, if not the same: there connectExport() opens more.
  for (const name of Object.keys(anywhere)) assert.ok(name in main, name);
});

tests("await using closes what has close()", async () => {
  const closed: string[] = [];
  const listener = await main.listen(disk(), "tcp:127.0.0.1:0");
  const objects = {
    listener,
    memory: memoryExport(new Uint8Array(1)),
    blob: blobExport(new Blob([])),
    filter: main.forward(disk()),
    // With an end of its own, as filters have that are made of forward().
    own: { ...main.forward(disk()), close: async () => void closed.push("own") },
    remote: (await remoteDisk()).remote,
  };
  for (const object of Object.values(objects)) await object[Symbol.asyncDispose]();
  assert.equal(closed, ["own"]);
  assert.instance(await failure(objects.remote.read(0, 1)), library.ExportError);
  const again = await main.listen(disk(), listener.address);
  await again.close();
});

tests("listen takes an address as a string", async () => {
  const listener = await library.listen(disk(), "tcp:127.0.0.1:0");
  assert.ok((listener.address as { port: number }).port > 0);
  await listener.close();
});

tests("what is right is not refused", () => {
  assert.ok(new PageServer(new URL("ws://127.0.0.1/") as Wrong, new Blob(["x"])));
  assert.ok(nbdServer(blobExport(new Blob([]))));
  assert.ok(nbdServer(disk({ size: Number.MAX_SAFE_INTEGER }), { name: "x".repeat(4096) }));
});

tests.run();
