/** A gateway that a test can have misbehave: the doors for login, and a WebSocket that reads what is served. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import { clientProof, gatewayProof, isEqual } from "../src/node/login/proof.ts";
import { webSocket } from "../src/transport/websocket.ts";

/** A token, or the random part of a session. */
export const newToken = () => randomBytes(32).toString("base64url");

/** A request that came, as far as a test looks at it. */
export interface Came {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface StandInOptions {
  token?: string;
  /** Answers POST /login in its place; what it returns is sent as JSON with status 200. */
  login?(
    body: Record<string, string>,
    request: IncomingMessage,
    response: ServerResponse,
  ): object | undefined;
  /** Deals with a WebSocket that was let in. Default: reads the first 512 bytes of the export, and closes. */
  use?(socket: WebSocket): void;
  /** With TLS. */
  tls?: { key: Buffer; cert: Buffer };
  /** Where the doors are. */
  folder?: string;
}

export class StandInGateway {
  readonly token: string;
  readonly session = `s.${newToken()}`;
  readonly came: Came[] = [];
  /** Bytes of HTTP that came, inside of TLS if there is TLS. */
  received = 0;
  /** What the default `use` has read. */
  readonly read: Buffer[] = [];
  readonly #options: StandInOptions;
  readonly #server;
  readonly #webSockets = new WebSocketServer({ noServer: true });
  readonly #sockets = new Set<Socket>();
  readonly #nonces = new Set<string>();

  constructor(options: StandInOptions = {}) {
    this.#options = options;
    this.token = options.token ?? newToken();
    const { tls } = options;
    this.#server = tls ? createTlsServer(tls) : createServer();
    this.#server.on("connection", (socket: Socket) => this.#sockets.add(socket));
    this.#server.on(tls ? "secureConnection" : "connection", (socket: Socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        this.received += bytes.byteLength;
      });
    });
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket: Socket, head) => {
      this.#note(request, "");
      if (request.headers.authorization !== `Bearer ${this.session}`) {
        socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\n\r\nlog in at first");
        return;
      }
      this.#webSockets.handleUpgrade(request, socket, head, (client) =>
        this.#options.use ? this.#options.use(client) : void this.#readFrom(client),
      );
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** "127.0.0.1:PORT". */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The URL that it would print, without the token. */
  get url(): string {
    return `http${this.#options.tls ? "s" : ""}://${this.host}${this.#options.folder ?? ""}/`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #note(request: IncomingMessage, body: string) {
    const { method = "", url = "", headers } = request;
    this.came.push({ method, url, headers, body });
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    let body = "";
    for await (const chunk of request) body += chunk;
    this.#note(request, body);
    const send = (status: number, what: object) =>
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(what));
    const folder = this.#options.folder ?? "";
    if (request.method === "POST" && request.url === `${folder}/logout`) return response.writeHead(204).end();
    if (request.method !== "POST" || request.url !== `${folder}/login`) return send(404, {});
    const asked = JSON.parse(body);
    if (this.#options.login) {
      const answer = this.#options.login(asked, request, response);
      return answer && send(200, answer);
    }
    if (asked.role !== "nbd-serve") return send(400, { error: "unknown role" });
    const { nonce, gatewayNonce, proof } = asked;
    const authority = request.headers.host!;
    if (gatewayNonce === undefined) {
      const made = newToken();
      this.#nonces.add(made);
      return send(200, {
        nonce: made,
        proof: gatewayProof(this.token, { authority, nonce, gatewayNonce: made }),
      });
    }
    const isRight =
      this.#nonces.delete(gatewayNonce) &&
      isEqual(proof, clientProof(this.token, { authority, nonce, gatewayNonce }));
    return isRight ? send(200, { session: this.session }) : send(401, { error: "wrong proof" });
  }

  async #readFrom(client: WebSocket) {
    try {
      const remote = await nbdClient(webSocket(client));
      this.read.push(Buffer.from(await remote.read(0, 512)));
      await remote.close();
    } catch {
      client.terminate();
    }
  }
}
