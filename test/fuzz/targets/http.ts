import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { duplexPair } from "node:stream";
import { parseConfig } from "../../../src/node/config/config.ts";
import { front } from "../../../src/node/gateway/front.ts";
import { PageFiles } from "../../../src/node/gateway/page-files.ts";
import { WebSockets } from "../../../src/node/gateway/web-sockets.ts";
import type { Access } from "../../../src/node/login/access.ts";
import { ending } from "../../nbd/hostile.ts";
import { onLookers } from "../../node/gateway/on-lookers.ts";
import { upgrade } from "../../node/raw-http.ts";
import { readInput, type Variant } from "../input.ts";

const request = ["GET /one HTTP/1.1", "Host: 127.0.0.1"];

/** What stands before the bytes: nothing, a plain request's or a WebSocket's header that goes on, or a whole WebSocket's. */
const beginnings: Readonly<Record<Variant, string>> = [
  "",
  `${request.join("\r\n")}\r\n`,
  `${[...request, ...upgrade].join("\r\n")}\r\n`,
  `${[...request, ...upgrade].join("\r\n")}\r\n\r\n`,
];

/** What a client may be answered. 500 would be a defect of ours. */
const STATUSES = new Set([101, 200, 204, 304, 400, 403, 404, 405, 408, 411, 413, 415, 426, 431]);

/** Lines of the log about defects of ours. */
const DEFECT = /error in the gateway| with 500: /;

const faults: string[] = [];

/** Notes what is wrong with a request that was let in, by rules that are stated once more. */
function judge(
  { method = "", httpVersion, url = "", headers, rawHeaders }: IncomingMessage,
  isUpgrade: boolean,
) {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  const host = /^(.*?)(:\d*)?$/.exec(headers.host ?? "")![1]!.toLowerCase();
  const { origin } = headers;
  const wrong = {
    method: !(isUpgrade ? ["GET"] : ["GET", "HEAD"]).includes(method),
    version: isUpgrade ? httpVersion !== "1.1" : !/^1\.[01]$/.test(httpVersion),
    target: !url.startsWith("/"),
    hosts: names.filter((name) => name === "host").length !== 1,
    host: host !== "localhost" && !isIP(host.replace(/^\[|\]$/g, "")),
    body: (headers["content-length"] ?? "0") !== "0" || names.includes("transfer-encoding"),
    expectation: names.includes("expect"),
    origin: origin !== undefined && new URL(origin).hostname !== new URL(`http://${host}`).hostname,
    site:
      /cross-site|same-site/.test(`${headers["sec-fetch-site"]}`) && headers["sec-fetch-dest"] !== "document",
  };
  for (const [what, isWrong] of Object.entries(wrong))
    if (isWrong) faults.push(`let in with a wrong ${what}`);
}

class JudgedPage extends PageFiles {
  override answer(request: IncomingMessage, response: ServerResponse, isSecure: boolean): boolean {
    judge(request, false);
    return super.answer(request, response, isSecure);
  }
}

const representations = [{ bytes: Buffer.from("the page"), etag: '"x"' }];
const type = "text/html";
const page = new JudgedPage(
  new Map(["/index.html", "/page.js"].map((path) => [path, { type, representations }])),
);
/** What the configuration says of itself, to those who may know. */
const METADATA = "for those who may know";
const one = { listen: "tcp:127.0.0.1:0", metadata: METADATA };
const config = parseConfig("config.json", JSON.stringify({ configurations: { one } }));
const log = (line: string) => {
  if (DEFECT.test(line)) faults.push(line);
};
const sockets = new WebSockets(log);
/** A login that nobody has. */
const nobody: Access = {
  cookieName: "__Host-nbd-proxy",
  judge: () => "wrong",
  hold: () => () => {},
  logIn: () => "wrong",
  logOut() {},
  close() {},
};
const frontOf = (access?: Access) =>
  front({
    config,
    access,
    page,
    maxConnections: 4,
    signal: new AbortController().signal,
    eject: async () => false,
    pull: async () => undefined,
    ...onLookers(config),
    upgrade(request, socket, head) {
      judge(request, true);
      if (access) faults.push("let in without a login");
      sockets.upgrade(request, socket, head, (client) => {
        client.on("error", () => {});
        client.on("message", () => {});
      });
    },
    log,
  });
const open = frontOf();
const closed = frontOf(nobody);

/** All that comes on a connection, from its first byte on: where everybody is let in, and where nobody has the login. */
export async function fuzz(input: Uint8Array): Promise<void> {
  faults.length = 0;
  judgeStatuses(await answersOf(open, input), STATUSES);
  const said = await answersOf(closed, input);
  judgeStatuses(said, new Set([...STATUSES, 401]));
  if (said.includes(METADATA)) faults.push("told of the configurations without a login");
  if (faults.length > 0) throw new Error(faults.join("; "));
}

function judgeStatuses(said: string, allowed: ReadonlySet<number>): void {
  for (const status of statusesOf(said)) if (!allowed.has(status)) faults.push(`answered ${status}`);
}

/** All that a server answers. */
async function answersOf(server: ReturnType<typeof front>, input: Uint8Array): Promise<string> {
  const { variant, chunks } = readInput(input);
  const [near, far] = duplexPair();
  const isOver = new Promise((resolve) => far.once("close", resolve));
  let said = "";
  near.on("data", (chunk: Buffer) => {
    said += chunk.toString("latin1");
  });
  server.emit("connection", far);
  for (const chunk of [Buffer.from(beginnings[variant]), ...chunks]) {
    if (far.destroyed) break;
    if (chunk.byteLength > 0) near.write(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  near.end();
  await ending("the connection", isOver);
  return said;
}

/** The statuses of all answers; a WebSocket is the last one. */
function statusesOf(said: string): number[] {
  const statuses: number[] = [];
  for (let rest = said; rest !== ""; ) {
    const [head, status] = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n/s.exec(rest) ?? [];
    if (head === undefined) throw new Error(`there is no answer in ${JSON.stringify(rest)}`);
    statuses.push(Number(status));
    if (status === "101") break;
    rest = rest.slice(head.length);
    const length = Number(/\r\nContent-Length: (\d+)\r\n/.exec(head)?.[1] ?? 0);
    // That to a HEAD has none of the bytes.
    if (!rest.startsWith("HTTP/1.1 ")) rest = rest.slice(length);
  }
  return statuses;
}
