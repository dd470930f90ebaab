/** A server that stands in for a gateway with a login: what it answers is up to the test, and all that it is asked is kept. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import { webSocket } from "../src/transport/websocket.ts";
import { root } from "./harness.ts";

/** What the gateway says to browsers about its page. */
const policy = (isSecure: boolean) =>
  `default-src 'self'; connect-src 'self' https:${isSecure ? "" : " http:"}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;
const COOKIE = "__Host-nbd-proxy-0123abcd";

const types: Readonly<Record<string, string>> = {
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
};

/** A request that came. */
interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface StandInOptions {
  /** A certificate and its key make it a server of https. */
  tls?: { cert: string; key: string };
  /** The path that it lies below. */
  prefix?: string;
}

export class StandInGateway {
  readonly token = randomBytes(32).toString("base64url");
  /** The logins that are valid. Without the set there is no login. */
  sessions: Set<string> | undefined = new Set();
  /** What a wrong token is answered with. */
  refusal: { status: number; headers?: Record<string, string> } = { status: 401 };
  /** Whether the next login is taken and then forgotten, as the cookie of a browser that blocks them is. */
  isForgetful = false;
  readonly asked: Asked[] = [];
  /** What a WebSocket is used for. Default: as by a machine that reads a byte. */
  onWebSocket: (socket: WebSocket, protocols: readonly string[]) => void = readByte;
  readonly #server: Server;
  readonly #prefix: string;
  readonly #isSecure: boolean;

  constructor({ tls, prefix = "/" }: StandInOptions = {}) {
    this.#prefix = prefix;
    this.#isSecure = tls !== undefined;
    this.#server = tls ? createSecureServer(tls) : createServer();
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    const webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: (offered) => offered.has("nbd") && "nbd",
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#note(request, "");
      if (!this.#isLoggedIn(request)) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
      webSockets.handleUpgrade(request, socket, head, (made) => this.onWebSocket(made, protocolsOf(request)));
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http${this.#isSecure ? "s" : ""}://127.0.0.1:${port}${this.#prefix}`;
  }

  /** What was asked at one path. */
  askedFor(path: string): Asked[] {
    return this.asked.filter(({ url }) => url === `${this.#prefix}${path}`);
  }

  end(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #note({ method = "", url = "", headers }: IncomingMessage, body: string) {
    this.asked.push({ method, url, headers, body });
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    let body = "";
    for await (const chunk of request) body += chunk;
    this.#note(request, body);
    const url = request.url ?? "";
    if (!url.startsWith(this.#prefix)) return response.writeHead(404).end();
    const path = url.slice(this.#prefix.length);
    response.setHeader("Content-Security-Policy", policy(this.#isSecure));
    if (path === "login" && request.method === "POST") return this.#logIn(body, response);
    if (path === "logout" && request.method === "POST") return this.#logOut(request, response);
    if (path === "metadata" || path === "events" || path === "b")
      return this.#answerBehindLogin(path, request, response);
    const name = path === "" ? "index.html" : path;
    response.setHeader("Content-Type", types[name.split(".").at(-1)!] ?? "text/html");
    response.end(await readFile(join(root, "dist/web", name)).catch(() => ""));
  }

  #logIn(body: string, response: ServerResponse) {
    if (!this.sessions) return response.writeHead(404).end();
    if (JSON.parse(body).token !== this.token) {
      const headers = { "Content-Type": "application/json", ...this.refusal.headers };
      return response.writeHead(this.refusal.status, headers).end('{"error":"no"}');
    }
    const session = `s.${randomBytes(32).toString("base64url")}`;
    if (!this.isForgetful) this.sessions.add(session);
    if (!this.#isSecure) return response.end(JSON.stringify({ session }));
    const cookie = `${COOKIE}=${session}; Secure; HttpOnly; SameSite=Strict; Path=/`;
    return response.writeHead(204, { "Set-Cookie": cookie }).end();
  }

  #logOut(request: IncomingMessage, response: ServerResponse) {
    if (!this.sessions) return response.writeHead(405).end();
    if (!this.#isLoggedIn(request)) return response.writeHead(401).end();
    this.sessions.clear();
    return response.writeHead(204, { "Set-Cookie": `${COOKIE}=; Max-Age=0; Secure; Path=/` }).end();
  }

  #answerBehindLogin(path: string, request: IncomingMessage, response: ServerResponse) {
    if (!this.#isLoggedIn(request)) {
      const headers = { "WWW-Authenticate": "Bearer", "Content-Type": "text/plain" };
      return response.writeHead(401, headers).end("log in first\n");
    }
    // As a gateway that tells no events.
    if (path === "events") return response.writeHead(404).end();
    if (path !== "metadata") return response.writeHead(426).end();
    return response.writeHead(200, { "Default-Configuration": "b" }).end('{"a":null,"b":null}');
  }

  #isLoggedIn({ headers }: IncomingMessage): boolean {
    if (!this.sessions) return true;
    const protocol = headers["sec-websocket-protocol"] ?? "";
    const [given] = [
      /^Bearer (.*)$/.exec(headers.authorization ?? ""),
      /\btoken\.([^, ]*)/.exec(protocol),
      new RegExp(`${COOKIE}=([^;]*)`).exec(headers.cookie ?? ""),
    ].filter((match) => match !== null);
    return given !== undefined && this.sessions.has(given[1]!);
  }
}

/** The subprotocols that a request asks for. */
function protocolsOf({ headers }: IncomingMessage): string[] {
  return (headers["sec-websocket-protocol"] ?? "").split(",").flatMap((one) => one.trim() || []);
}

/** Does as a machine that has the disk. */
export function readByte(socket: WebSocket): void {
  nbdClient(webSocket(socket))
    .then((remote) => remote.read(0, 1))
    .catch(() => socket.terminate());
}
