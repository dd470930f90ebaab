/**
 * The NBD server of a first-generation web console, as a program: it knows NBD_OPT_EXPORT_NAME, simple replies and
 * READ, one after the other, and nothing else. It has none of this package's code.
 *
 *     node first-generation-server.js FILE WS-URL     connects, as the page does
 *     node first-generation-server.js FILE SOCKET     listens for one client on a unix socket
 *
 * A third argument is how many milliseconds a read takes, 2 unless it is given; 0 is at once. A fourth is the origin of the page
 * that it stands for.
 *
 * When the connection has ended it prints what it was asked for as JSON.
 */
import { openSync, readSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { WebSocket } from "ws";

const [file, where, duration = "2", origin] = process.argv.slice(2);
const image = openSync(file, "r");
const { size } = statSync(file);

/** How bytes go out, and how the connection is ended. */
let send;
let hangUp;

if (/^wss?:/.test(where)) {
  const socket = new WebSocket(where, { perMessageDeflate: false, origin });
  socket.binaryType = "nodebuffer";
  send = (bytes) => socket.send(bytes);
  hangUp = () => socket.close();
  socket.on("open", greet);
  socket.on("message", receive);
  socket.on("error", () => {});
  socket.on("close", report);
} else {
  const server = createServer((socket) => {
    send = (bytes) => socket.write(bytes);
    hangUp = () => socket.end();
    socket.on("data", receive);
    socket.on("error", () => {});
    socket.on("close", report);
    server.close();
    greet();
  });
  server.listen(where);
}

const seen = { options: [], commands: {}, reads: 0, longestRead: 0, mostOutstanding: 0, beyondTheEnd: 0 };
let outstanding = 0;
let received = Buffer.alloc(0);
let state = onClientFlags;
let noZeroes = false;

/** Reads that wait for the one before, as a FileReader does one thing at a time. */
const queue = [];

function greet() {
  const greeting = Buffer.alloc(18);
  greeting.write("NBDMAGICIHAVEOPT", "latin1");
  greeting.writeUInt16BE(3, 16); // fixed newstyle, no zeroes
  send(greeting);
}

function receive(data) {
  received = Buffer.concat([received, data]);
  for (let used = 1; used > 0; ) {
    used = state(received);
    received = received.subarray(used);
  }
}

function report() {
  process.stdout.write(JSON.stringify(seen));
  process.exit(0);
}

function onClientFlags(bytes) {
  if (bytes.length < 4) return 0;
  noZeroes = (bytes.readUInt32BE(0) & 2) !== 0;
  state = onOption;
  return 4;
}

function onOption(bytes) {
  if (bytes.length < 16) return 0;
  const option = bytes.readUInt32BE(8);
  const length = bytes.readUInt32BE(12);
  if (bytes.length < 16 + length) return 0;
  seen.options.push(option);
  if (option === 1) {
    const reply = Buffer.alloc(noZeroes ? 10 : 134);
    reply.writeBigUInt64BE(BigInt(size), 0);
    reply.writeUInt16BE(3, 8); // has flags, read-only
    send(reply);
    state = onRequest;
  } else {
    const reply = Buffer.alloc(20);
    reply.writeBigUInt64BE(0x0003e889045565a9n, 0);
    reply.writeUInt32BE(option, 8);
    reply.writeUInt32BE(0x80000001, 12); // NBD_REP_ERR_UNSUP
    send(reply);
  }
  return 16 + length;
}

function onRequest(bytes) {
  if (bytes.length < 28) return 0;
  if (bytes.readUInt32BE(0) !== 0x25609513) process.exit(1);
  const type = bytes.readUInt16BE(6);
  const cookie = bytes.readBigUInt64BE(8);
  seen.commands[type] = (seen.commands[type] ?? 0) + 1;
  if (type === 0) {
    const offset = Number(bytes.readBigUInt64BE(16));
    const length = bytes.readUInt32BE(24);
    outstanding += length;
    seen.reads++;
    seen.longestRead = Math.max(seen.longestRead, length);
    seen.mostOutstanding = Math.max(seen.mostOutstanding, outstanding);
    if (offset + length > size) seen.beyondTheEnd++;
    queue.push({ cookie, offset, length });
    if (queue.length === 1) readNext();
  } else if (type === 2) {
    hangUp();
  } else {
    send(header(cookie, 22)); // EINVAL, to FLUSH and all else
  }
  return 28;
}

function readNext() {
  if (duration === "0") setImmediate(answer);
  else setTimeout(answer, Number(duration));
}

function answer() {
  const { cookie, offset, length } = queue[0];
  const data = Buffer.alloc(length);
  readSync(image, data, 0, length, offset);
  send(Buffer.concat([header(cookie, 0), data]));
  outstanding -= length;
  queue.shift();
  if (queue.length > 0) readNext();
}

function header(cookie, error) {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(0x67446698, 0);
  bytes.writeUInt32BE(error, 4);
  bytes.writeBigUInt64BE(cookie, 8);
  return bytes;
}
