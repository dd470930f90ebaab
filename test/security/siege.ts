/**
 * All attacks at the same time on one gateway, beside a session that is copied from and one that fio writes to and verifies.
 * It takes half an hour unless told otherwise, so it is run by hand:
 *
 *     node --import tsx test/security/siege.ts [MINUTES] [--no-auth]
 *
 * The gateway asks for a login, unless `--no-auth` says not to; each attack comes by turns from somebody who has it and from
 * somebody who has not.
 *
 * It fails when a session was harmed, or when the gateway does not give back what the attacks made it take.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readToken } from "../../src/node/login/token-file.ts";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { bearer, linesOf } from "./login-here.ts";

const { values, positionals } = parseArgs({
  options: { "no-auth": { type: "boolean" } },
  allowPositionals: true,
});
const minutes = Number(positionals[0] ?? 30);

let ends = Number.POSITIVE_INFINITY;
const isOver = () => performance.now() > ends;

/** Bytes of the image that is copied. */
const IMAGE = 10 * 2 ** 30;
/** Bytes of the file that fio writes to. */
const SCRATCH = 256 * 2 ** 20;
/** MiB of memory, and descriptors, that the gateway may have more than before, once the attacks are over. */
const MEMORY_LEFT = 48;
const DESCRIPTORS_LEFT = 4;

const sandbox = new Sandbox();
const socketOf = (name: string) => sandbox.path(`${name}.sock`);
const configurations = Object.fromEntries(
  ["copied", "verified", "victim", "coveted"].map((name) => [name, { listen: `unix:${socketOf(name)}` }]),
);
const config = sandbox.path("config.json");
writeFileSync(config, JSON.stringify({ timeout: 60, "state-hook": "/nowhere", configurations }));

const tokenFile = sandbox.path("login/token");
const login = values["no-auth"] ? ["--no-auth"] : ["--token-file", tokenFile];
const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", ...login]);
await until("the gateway listens", () => gateway.stdout.includes("\n"));
const authorization = values["no-auth"] ? [] : linesOf(bearer(readToken(tokenFile)));
/** Counts attacks: every other one has the login. */
let attempts = 0;
const url = new URL(gateway.stdout.trim());
const port = Number(url.port);

/** What the gateway holds. */
function held() {
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  const resident = Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) / 1024);
  return { resident, descriptors: readdirSync(`/proc/${gateway.pid}/fd`).length };
}

/** Opens a connection on which the gateway may do what it likes. */
function dial(
  where: { port: number; host: string } | { path: string } = { port, host: "127.0.0.1" },
): Socket {
  const socket = connect(where);
  socket.on("error", () => {});
  socket.setTimeout(20_000, () => socket.destroy());
  return socket;
}

const request = (target: string, ...lines: string[]) =>
  [
    `GET ${target} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    ...(attempts % 2 === 0 ? authorization : []),
    ...lines,
    "",
    "",
  ].join("\r\n");

const upgrade = (target: string, ...lines: string[]) =>
  request(
    target,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ...lines,
  );

/** A masked frame of a client; the mask is zero. */
function frame(first: number, length: number, payload = Buffer.alloc(0)): Buffer {
  const header =
    length < 126 ? Buffer.from([first, 0x80 | length]) : Buffer.from([first, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  if (length >= 126) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, Buffer.alloc(4), payload]);
}

/** Opens a connection, says something, and leaves after so many milliseconds. */
async function say(bytes: string | Buffer, milliseconds: number, where?: Parameters<typeof dial>[0]) {
  const socket = dial(where);
  socket.write(bytes);
  socket.resume();
  await sleep(milliseconds);
  socket.destroy();
}

/** As `say`, on many connections that read nothing of what they are answered. */
async function sayDeaf(connections: number, bytes: string | Buffer, milliseconds: number) {
  const sockets = Array.from({ length: connections }, () => dial());
  for (const socket of sockets) socket.write(bytes);
  await sleep(milliseconds);
  for (const socket of sockets) socket.destroy();
}

/** The handshake of a local client that goes straight to the export, and a request behind it. */
function localClient(type: number, length: number, times: number): Buffer {
  const flags = Buffer.from([0, 0, 0, 3]);
  const option = Buffer.alloc(16);
  option.write("IHAVEOPT", "latin1");
  option.writeUInt32BE(1, 8);
  const command = Buffer.alloc(28);
  command.writeUInt32BE(0x25609513);
  command.writeUInt16BE(type, 6);
  command.writeUInt32BE(length, 24);
  return Buffer.concat([flags, option, ...Array.from({ length: times }, () => command)]);
}

const greeting = Buffer.concat([Buffer.from("NBDMAGICIHAVEOPT", "latin1"), Buffer.from([0, 3])]);
const victim = { path: socketOf("victim") };

/** Each does its worst once, and is called again until the time is over. */
const attacks: Readonly<Record<string, () => Promise<void>>> = {
  "a range that makes no sense": () => say(request("/page.js", "Range: bytes=5-2"), 50),
  "requests that are given up": async () => {
    for (let i = 0; i < 50; i++) {
      const socket = dial();
      socket.write(request("/page.js"), () => socket.resetAndDestroy());
      await sleep(2);
    }
  },
  "pipelines that nobody reads": () => sayDeaf(12, request("/page.js").repeat(1000), 2000),
  "requests that never end": () => sayDeaf(20, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: `, 3000),
  "foreign pages": () => say(request("/metadata", "Origin: https://evil.example"), 20),
  "names that were rebound": () => say(upgrade("/copied").replace(/Host: .*/, "Host: evil.example"), 20),
  "upgrades with a body": () => say(upgrade("/copied", "Transfer-Encoding: chunked"), 20),
  "other methods": () => say(request("/").replace("GET", "DELETE"), 20),
  "two Hosts": () => say(request("/", "Host: evil.example"), 20),
  "unknown configurations": () => say(upgrade(`/${"nbd-gateway: local: ended".repeat(20)}%0a`), 20),
  "empty frames": () =>
    say(Buffer.concat([Buffer.from(upgrade("/coveted")), Buffer.alloc(6 << 18, frame(0x82, 0))]), 1000),
  "pings whose pongs nobody reads": () =>
    sayDeaf(
      4,
      Buffer.concat([Buffer.from(upgrade("/coveted")), Buffer.alloc(6 << 18, frame(0x89, 0))]),
      1000,
    ),
  "text that does not end": () =>
    sayDeaf(
      10,
      Buffer.concat([Buffer.from(upgrade("/coveted")), frame(0x01, 1 << 25, Buffer.alloc(1 << 23, 0x20))]),
      1000,
    ),
  "messages that do not end": () =>
    sayDeaf(
      4,
      Buffer.concat([Buffer.from(upgrade("/coveted")), frame(0x02, 1 << 25, Buffer.alloc(1 << 22))]),
      1000,
    ),
  "servers that say nothing": () => sayDeaf(20, upgrade("/coveted"), 4000),
  "servers that only greet": () =>
    say(Buffer.concat([Buffer.from(upgrade("/coveted")), frame(0x82, 18, greeting)]), 3000),
  "places that are taken": () =>
    say(Buffer.concat([Buffer.from(upgrade("/copied")), frame(0x82, 18, greeting)]), 50),
  "many local clients": async () => {
    const sockets = Array.from({ length: 500 }, () => dial(victim));
    for (const socket of sockets) socket.write(localClient(0, 1 << 22, 2));
    await sleep(1000);
    for (const socket of sockets) socket.destroy();
  },
  "unknown commands": () => say(localClient(99, 0, 20_000), 1000, victim),
  "4 GiB into the cache": () => say(localClient(5, 0xffff_0000, 200), 1000, victim),
};

const counts = new Map<string, number>();
async function attack(name: string, once: () => Promise<void>) {
  while (!isOver()) {
    attempts++;
    await once();
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await sleep(200);
  }
}

const serving: Running[] = [];
async function serve(name: string, size: number, ...options: string[]): Promise<string> {
  const file = sandbox.path(`${name}.img`);
  writeFileSync(file, createHash("sha512").update(name).digest());
  truncateSync(file, size);
  const where = new URL(`/${name}`, url).href;
  const to = values["no-auth"] ? [where.replace("http", "ws")] : ["--token-file", tokenFile, where];
  serving.push(sandbox.start(program("nbd-serve"), [...options, file, ...to]));
  await until(`${name} is offered`, () => readdirSync(sandbox.folder).includes(`${name}.sock`), 30_000);
  return file;
}

/** What comes out of a shell command. */
async function output(command: string): Promise<string> {
  const running = sandbox.start("sh", ["-c", command]);
  const status = await running.exit;
  if (status !== 0) throw new Error(`${command}: ${status}\n${running.stdout}${running.stderr}`);
  return running.stdout;
}

let copies = 0;
async function copyAgainAndAgain(expected: string) {
  do {
    const found = await output(
      `nbdcopy --no-extents 'nbd+unix:///?socket=${socketOf("copied")}' - | sha256sum`,
    );
    if (found.split(" ")[0] !== expected) throw new Error(`the copy has sha256 ${found}, not ${expected}`);
    copies++;
  } while (!isOver());
}

let verified = 0;
async function verifyAgainAndAgain() {
  do {
    await output(
      `fio --name=v --ioengine=nbd --uri='nbd+unix:///?socket=${socketOf("verified")}' --rw=randrw --bs=4k-128k ` +
        `--size=${SCRATCH} --io_size=${SCRATCH} --iodepth=16 --verify=crc32c --verify_fatal=1`,
    );
    verified++;
  } while (!isOver());
}

try {
  const image = await serve("copied", IMAGE);
  const expected = (await output(`sha256sum ${image}`)).split(" ")[0]!;
  await serve("verified", SCRATCH, "--writable");
  await serve("victim", 1 << 20);
  await output(`nbdcopy --no-extents 'nbd+unix:///?socket=${socketOf("copied")}' null:`);
  await sleep(40_000);
  const before = held();
  ends = performance.now() + minutes * 60_000;
  console.log(`before: ${before.resident} MiB, ${before.descriptors} descriptors`);

  let most = before;
  const watching = (async () => {
    while (!isOver()) {
      const now = held();
      most = {
        resident: Math.max(most.resident, now.resident),
        descriptors: Math.max(most.descriptors, now.descriptors),
      };
      await sleep(250);
    }
  })();
  await Promise.all([
    watching,
    copyAgainAndAgain(expected),
    verifyAgainAndAgain(),
    ...Object.entries(attacks).map(([name, once]) => attack(name, once)),
  ]);
  console.log(`meanwhile: at most ${most.resident} MiB, ${most.descriptors} descriptors`);
  console.log(`copied ${copies} times, verified ${verified} times, both right each time`);
  for (const [name, count] of counts) console.log(`${String(count).padStart(7)} × ${name}`);

  await sleep(60_000);
  const after = held();
  console.log(`a minute after: ${after.resident} MiB, ${after.descriptors} descriptors`);
  console.log(`the gateway's log has ${gateway.stderr.length} bytes`);
  const isBack =
    after.resident <= before.resident + MEMORY_LEFT &&
    after.descriptors <= before.descriptors + DESCRIPTORS_LEFT;
  console.log(isBack ? "all is back where it was" : "FAILED: the gateway holds more than before");
  if (!isBack) process.exitCode = 1;
} finally {
  for (const one of serving) one.kill();
  gateway.kill();
  await gateway.exit;
  if (process.exitCode) console.log(gateway.stderr.slice(-4000));
  await sandbox.end();
}
