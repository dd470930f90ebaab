/** Sockets that listened before the gateway: all of them are like one that it has made, or none is listened on. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { listenFor } from "../../../src/node/gateway/listen-for.ts";
import { systemCalls } from "../../../src/node/kernel/system-calls.ts";
import { suite, until, within } from "../../harness.ts";

const tests = suite("the sockets that a gateway is started with");

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

const fdOf = (handle: unknown) => (handle as { _handle: { fd: number } })._handle.fd;

/** A listening socket without a server, as another process hands it over. */
async function handedOver() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const fd = (await systemCalls()).duplicate(fdOf(server));
  await new Promise((resolve) => server.close(resolve));
  return { name: "http", fd, address: { host: "127.0.0.1", port } };
}

const place = { host: "", port: 0, path: undefined, socketPermissions: undefined };

for (const [what, createAny, tls] of [
  ["HTTP", () => createHttpServer(), undefined],
  ["TLS", () => createHttpsServer(), {}],
] as const) {
  tests(`the connections of the second are as those of the first, for ${what}`, async () => {
    const { getsockopt } = await systemCalls();
    const inherited = [await handedOver(), await handedOver()];
    const server: Server = createAny();
    const seen: [boolean, number][] = [];
    server.prependListener("connection", (socket: Socket) => {
      seen.push([socket.allowHalfOpen, getsockopt(fdOf(socket), IPPROTO_TCP, TCP_NODELAY)]);
      socket.destroy();
    });
    const where = await listenFor(server, { ...place, tls: tls as never, inherited });
    for (const { address } of inherited) {
      const socket = createConnection(address.port, address.host).on("error", () => {});
      await within(5000, "the end", new Promise((resolve) => socket.once("close", resolve)));
    }
    assert.equal(seen, [
      [tls === undefined, 1],
      [tls === undefined, 1],
    ]);
    await where.release();
    await within(5000, "the end", where.emptied);
  });
}

tests("one that cannot be listened on: the error says which, and none is listened on", async () => {
  const file = openSync(fileURLToPath(import.meta.url), "r");
  const good = [await handedOver(), await handedOver()];
  const bad = { name: "http", fd: file, address: { host: "127.0.0.1", port: 7 } };
  const server = createHttpServer();
  try {
    await listenFor(server, { ...place, tls: undefined, inherited: [...good, bad] });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /^listening on tcp:127\.0\.0\.1:7, descriptor \d+: .*EINVAL/);
    assert.is((error as NodeJS.ErrnoException).code, "EINVAL");
  }
  const isClosed = (fd: number) => {
    try {
      return fstatSync(fd) === undefined;
    } catch {
      return true;
    }
  };
  for (const { fd } of good) await until("it is closed", () => isClosed(fd));
  assert.not(server.listening);
  closeSync(file);
});

tests.run();
