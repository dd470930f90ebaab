/** A web server with one file, whose answers a test spoils. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { sequence } from "../../bytes.ts";

/** What a server was asked for. */
export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

export class WebServer {
  /** The file. */
  image = sequence(10_000);
  /** Headers of each answer with a part of it. */
  validators: Record<string, string> = { etag: '"one"', "last-modified": "Sun, 01 Nov 2026 10:00:00 GMT" };
  readonly asked: Asked[] = [];
  /** Answers in place of the file: the first ones first, then `always`. */
  readonly next: Answer[] = [];
  always: Answer = (request, response) => this.part(request, response);
  /** Requests that are not over, and the most that there were. */
  open = 0;
  mostOpen = 0;
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(tls: { cert: string; key: string } | undefined) {
    const listener: RequestListener = (request, response) => {
      this.asked.push({ method: request.method!, path: request.url!, headers: request.headers });
      this.mostOpen = Math.max(this.mostOpen, ++this.open);
      response.once("close", () => this.open--);
      (this.next.shift() ?? this.always)(request, response);
    };
    this.#server = tls ? createSecureServer(tls, listener) : createServer(listener);
    this.#scheme = tls ? "https" : "http";
  }

  static async start(tls?: { cert: string; key: string }): Promise<WebServer> {
    const server = new WebServer(tls);
    await server.listen(0);
    return server;
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.origin}/iso/disk.iso`;
  }

  /** The ranges that were asked for. */
  get ranges(): (string | undefined)[] {
    return this.asked.map(({ headers }) => headers.range);
  }

  /** Answers as a server should. `changes` are to the headers; undefined leaves one out. */
  part(
    request: IncomingMessage,
    response: ServerResponse,
    changes: Record<string, string | undefined> = {},
    body = (bytes: Uint8Array) => bytes,
  ): void {
    const { "if-range": ifRange, range } = request.headers;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    const isPart = from !== undefined && (ifRange === undefined || ifRange === this.validators.etag);
    const [first, end] = isPart ? [Number(from), Number(to) + 1] : [0, this.image.length];
    const bytes = this.image.slice(first, end);
    const headers: Record<string, string | undefined> = {
      ...this.validators,
      "content-length": String(bytes.length),
      ...(isPart && { "content-range": `bytes ${first}-${first + bytes.length - 1}/${this.image.length}` }),
      ...changes,
    };
    const told = Object.entries(headers).filter(([, value]) => value !== undefined);
    response.writeHead(isPart ? 206 : 200, Object.fromEntries(told) as Record<string, string>);
    response.end(body(bytes));
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** An answer with a status. */
export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    response.writeHead(code, headers).end("what the server says about it");

/** An answer that leads elsewhere. */
export const redirect = (location: string, code = 302): Answer => status(code, { location });
