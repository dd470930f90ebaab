import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import type { Resolve } from "../../../src/node/pull/checked-lookup.ts";
import { SourceError } from "../../../src/node/pull/source-error.ts";
import {
  type SourceFetch,
  type SourceFetchOptions,
  sourceFetch,
} from "../../../src/node/pull/source-fetch.ts";
import type { Source } from "../../../src/node/pull/sources.ts";
import { failure, settled } from "../../bytes.ts";
import { pairOf } from "../../certificates.ts";
import { within } from "../../harness.ts";
import { suite } from "../../suite.ts";

/** A web server on loopback that counts. */
class CountingServer {
  readonly requests: string[] = [];
  connections = 0;
  readonly #server: Server;

  constructor(answer: RequestListener, tls?: { cert: string; key: string }) {
    const listener: RequestListener = (request, response) => {
      this.requests.push(`${request.method} ${request.url} ${request.headers.host}`);
      answer(request, response);
    };
    this.#server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
    // For TLS it is the connection below that counts.
    this.#server.on("connection", () => this.connections++);
  }

  async listen(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends what is open, so that the next request needs a new connection. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  end(): void {
    this.#server.close();
    this.cut();
  }
}

interface Context {
  ends: (() => void)[];
  serve(answer: RequestListener, tls?: { cert: string; key: string }): Promise<CountingServer>;
  fetcher(sources: readonly Source[], options?: SourceFetchOptions): SourceFetch;
}

const tests = suite<Context>("fetching what sources allow");
tests.before.each((context) => {
  context.ends = [];
  context.serve = async (answer, tls) => {
    const server = await new CountingServer(answer, tls).listen();
    context.ends.push(() => server.end());
    return server;
  };
  context.fetcher = (sources, options) => {
    const fetcher = sourceFetch(sources, options);
    context.ends.push(() => fetcher.close());
    return fetcher;
  };
});
tests.after.each(({ ends }) => {
  for (const end of ends) end();
});

const LOOPBACK = "127.0.0.0/8";
const source = (url: string, addresses: readonly string[] = []): Source => ({
  url,
  queries: false,
  addresses,
});
const resolvesTo =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses;
const get = (fetcher: SourceFetch, url: string, init: RequestInit = {}) =>
  within(10_000, url, fetcher.fetch(url, { redirect: "manual", ...init }));
const hello: RequestListener = (_request, response) => response.end("hello");

tests(
  "a name is connected to at the address that was found for it, once for a connection",
  async (context) => {
    const server = await context.serve(hello);
    const asked: string[] = [];
    const resolve: Resolve = async (name) => {
      asked.push(name);
      return ["127.0.0.1"];
    };
    const url = `http://mirror.test:${server.port}/iso/a.iso`;
    const fetcher = context.fetcher([source(`http://mirror.test:${server.port}/iso/`, [LOOPBACK])], {
      resolve,
    });
    for (let count = 0; count < 2; count++) {
      const response = await get(fetcher, url);
      assert.is(await response.text(), "hello");
      assert.is(response.status, 200);
      assert.is(response.url, url);
      // The connection is free a turn later.
      await settled();
    }
    assert.equal(asked, ["mirror.test"]);
    assert.is(server.connections, 1);
    const line = `GET /iso/a.iso mirror.test:${server.port}`;
    assert.equal(server.requests, [line, line]);
  },
);

tests("nothing is connected to when a name has an address that is not allowed", async (context) => {
  const server = await context.serve(hello);
  const table: readonly [found: string[], named: string[]][] = [
    [["127.0.0.1"], []],
    [["127.0.0.1"], ["10.0.0.0/8"]],
    [["127.0.0.1", "127.0.0.2"], ["127.0.0.1/32"]],
    [["127.0.0.2", "127.0.0.1"], ["127.0.0.1/32"]],
    [["127.0.0.1", "1.1.1.1"], []],
    [["1.1.1.1", "127.0.0.1"], []],
    [["1.1.1.1", "::1"], [LOOPBACK]],
    [["::ffff:127.0.0.1"], []],
    [["::ffff:7f00:1"], []],
    [["64:ff9b::127.0.0.1"], []],
    [["2002:7f00:1::"], []],
    [["0.0.0.0"], []],
    [["0.0.0.0"], ["0.0.0.0/0"]],
    [["::"], ["::/0"]],
    [["::1"], []],
    [["::1%lo"], ["::/0"]],
    [["169.254.169.254"], []],
    [["10.0.0.5"], []],
    [["fd00::1"], []],
    [["fe80::1%lo"], []],
    [["localhost"], [LOOPBACK]],
    [[""], [LOOPBACK]],
    [[], [LOOPBACK]],
  ];
  for (const [found, named] of table) {
    const prefix = `http://mirror.test:${server.port}/`;
    const fetcher = context.fetcher([source(prefix, named)], { resolve: resolvesTo(...found) });
    const error = await failure(get(fetcher, `${prefix}a.iso`));
    assert.instance(error, SourceError, found.join());
    const { message, forOthers } = error as SourceError;
    assert.match(message, found.length === 0 ? "no address" : "an address that is not public");
    if (found.length > 0) assert.match(message, 'name it in "addresses"');
    assert.not.match(forOthers, /127\.|::|10\.0/);
  }
  assert.is(server.connections, 0);
});

tests("a name that is found elsewhere later is refused then", async (context) => {
  const server = await context.serve(hello);
  const answers = [["127.0.0.1"], ["127.0.0.2"]];
  const prefix = `http://mirror.test:${server.port}/`;
  const resolve: Resolve = async () => answers.shift()!;
  const fetcher = context.fetcher([source(prefix, ["127.0.0.1/32"])], { resolve });
  assert.is(await (await get(fetcher, `${prefix}a.iso`)).text(), "hello");
  server.cut();
  // The connection may be noticed to have ended by the next request only.
  let error = await failure(get(fetcher, `${prefix}a.iso`));
  if (!(error instanceof SourceError)) error = await failure(get(fetcher, `${prefix}a.iso`));
  assert.instance(error, SourceError);
  assert.is(server.connections, 1);
});

tests(
  "an address in the URL is connected to where a source names it, and is not looked up",
  async (context) => {
    const server = await context.serve(hello);
    const resolve: Resolve = () => Promise.reject(new Error("looked up"));
    const named = context.fetcher([source(`http://127.0.0.1:${server.port}/`)], { resolve });
    assert.is(await (await get(named, `http://127.0.0.1:${server.port}/a.iso`)).text(), "hello");
    // Other ways to write it are the same address.
    assert.is(await (await get(named, `http://0x7f.1:${server.port}/a.iso`)).text(), "hello");
    const before = server.connections;
    for (const host of ["127.0.0.2", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"]) {
      const error = await failure(get(named, `http://${host}:${server.port}/a.iso`));
      assert.instance(error, SourceError, host);
    }
    assert.is(server.connections, before);
  },
);

tests("the name localhost has the addresses of loopback, and no others", async (context) => {
  const server = await context.serve(hello);
  const prefix = `http://localhost:${server.port}/`;
  const local = context.fetcher([source(prefix)], { resolve: resolvesTo("127.0.0.1") });
  assert.is(await (await get(local, `${prefix}a.iso`)).text(), "hello");
  const elsewhere = context.fetcher([source(prefix)], { resolve: resolvesTo("127.0.0.1", "10.0.0.5") });
  assert.instance(await failure(get(elsewhere, `${prefix}a.iso`)), SourceError);
  assert.is(server.connections, 1);
});

tests("nothing is connected to for a URL that is not allowed", async (context) => {
  const server = await context.serve(hello);
  const asked: string[] = [];
  const resolve: Resolve = async (name) => {
    asked.push(name);
    return ["127.0.0.1"];
  };
  const root = `http://mirror.test:${server.port}`;
  const fetcher = context.fetcher([source(`${root}/iso/`, [LOOPBACK])], { resolve });
  for (const url of [
    `${root}/a.iso`,
    `${root}/iso/../a.iso`,
    `${root}/iso/%2e%2e/a.iso`,
    `${root}/iso/a.iso?q`,
    `http://user:secret@mirror.test:${server.port}/iso/a.iso`,
    `http://other.test:${server.port}/iso/a.iso`,
    `https://mirror.test:${server.port}/iso/a.iso`,
  ]) {
    assert.instance(await failure(get(fetcher, url)), SourceError, url);
  }
  assert.instance(
    await failure(fetcher.fetch(new URL(`${root}/a.iso`), { redirect: "manual" })),
    SourceError,
  );
  assert.instance(
    await failure(fetcher.fetch(new Request(`${root}/a.iso`), { redirect: "manual" })),
    SourceError,
  );
  assert.equal(asked, []);
  assert.is(server.connections, 0);
});

tests(
  "a redirect is handed on where it may be followed, and else refused before anything follows",
  async (context) => {
    const secret = await context.serve(hello);
    let location = "";
    const server = await context.serve((_request, response) => {
      response.writeHead(302, { Location: location }).end("moved");
    });
    const root = `http://mirror.test:${server.port}`;
    const sources = [source(`${root}/iso/`, [LOOPBACK]), source(`http://inside.test:${secret.port}/`)];
    const fetcher = context.fetcher(sources, { resolve: resolvesTo("127.0.0.1") });
    for (location of [
      "b.iso",
      "/iso/b.iso",
      `${root}/iso/sub/b.iso`,
      `http://inside.test:${secret.port}/a`,
    ]) {
      const response = await get(fetcher, `${root}/iso/a.iso`);
      assert.is(response.status, 302);
      assert.is(response.headers.get("location"), location);
      assert.is(await response.text(), "moved");
    }
    // It is under a prefix, but its name has an address that is not named there.
    assert.instance(await failure(get(fetcher, location)), SourceError);
    for (location of [
      "../b.iso",
      "/b.iso",
      `http://127.0.0.1:${secret.port}/a.iso`,
      `http://mirror.test:${secret.port}/iso/a.iso`,
      `//127.0.0.1:${secret.port}/a.iso`,
      `/\\127.0.0.1:${secret.port}/a.iso`,
      "file:///etc/passwd",
    ]) {
      const error = await failure(get(fetcher, `${root}/iso/a.iso`));
      assert.instance(error, SourceError, location);
      assert.match((error as SourceError).message, "it is redirected, and then");
    }
    assert.is(secret.connections, 0);
  },
);

tests("an answer is as it came, and says what it answers", async (context) => {
  const zipped = gzipSync("hello");
  const server = await context.serve((request, response) => {
    assert.is(request.headers.range, "bytes=0-9");
    assert.is(request.headers["accept-encoding"], "identity");
    if (request.url === "/none") response.writeHead(204).end();
    else
      response.writeHead(206, { "Content-Encoding": "gzip", ETag: '"é"', "X-Two": ["1", "2"] }).end(zipped);
  });
  const root = `http://127.0.0.1:${server.port}`;
  const fetcher = context.fetcher([source(`${root}/`)]);
  const init = { headers: { Range: "bytes=0-9", "Accept-Encoding": "identity" } };
  const response = await get(fetcher, `${root}/a.iso`, init);
  assert.is(response.status, 206);
  assert.is(response.headers.get("etag"), '"é"');
  assert.is(response.headers.get("x-two"), "1, 2");
  assert.equal(Buffer.from(await response.arrayBuffer()), zipped);
  const head = await get(fetcher, `${root}/a.iso`, { ...init, method: "HEAD" });
  assert.is(head.body, null);
  assert.is(head.headers.get("content-encoding"), "gzip");
  const none = await get(fetcher, `${root}/none`, init);
  assert.is(none.status, 204);
  assert.is(none.body, null);
});

tests("an answer without a body leaves the connection free", async (context) => {
  const server = await context.serve((_request, response) =>
    response.writeHead(200, { "Content-Length": "5" }).end(),
  );
  const root = `http://127.0.0.1:${server.port}/`;
  const fetcher = context.fetcher([source(root)]);
  for (let count = 0; count < 3; count++) {
    assert.is((await get(fetcher, `${root}a.iso`, { method: "HEAD" })).status, 200);
    await settled();
  }
  assert.is(server.requests.length, 3);
  assert.is(server.connections, 1);
});

tests("over TLS the certificate has to be for the name", async (context) => {
  const own = pairOf(["mirror.test"]);
  const server = await context.serve(hello, own);
  const sources = [
    source(`https://mirror.test:${server.port}/`, [LOOPBACK]),
    source(`https://other.test:${server.port}/`, [LOOPBACK]),
    source(`https://127.0.0.1:${server.port}/`),
  ];
  const resolve = resolvesTo("127.0.0.1");
  const fetcher = context.fetcher(sources, { resolve, ca: own.cert });
  assert.is(await (await get(fetcher, `https://mirror.test:${server.port}/a.iso`)).text(), "hello");
  const codeOf = async (from: SourceFetch, host: string) => {
    const error = await failure(get(from, `https://${host}:${server.port}/a.iso`));
    assert.instance(error, TypeError);
    return ((error as TypeError).cause as NodeJS.ErrnoException).code;
  };
  assert.is(await codeOf(fetcher, "other.test"), "ERR_TLS_CERT_ALTNAME_INVALID");
  assert.is(await codeOf(fetcher, "127.0.0.1"), "ERR_TLS_CERT_ALTNAME_INVALID");
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  try {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    assert.is(
      await codeOf(context.fetcher(sources, { resolve }), "mirror.test"),
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    );
  } finally {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  }
  assert.equal(server.requests, [`GET /a.iso mirror.test:${server.port}`]);
});

tests("what fails on the way is told as fetch does", async (context) => {
  const gone = await context.serve(hello);
  const { port } = gone;
  gone.end();
  const nobody = context.fetcher([source(`http://127.0.0.1:${port}/`)]);
  const refused = await failure(get(nobody, `http://127.0.0.1:${port}/a.iso`));
  assert.instance(refused, TypeError);
  assert.is(((refused as TypeError).cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
  const unknown = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
  const nameless = context.fetcher([source("http://mirror.test/")], {
    resolve: () => Promise.reject(unknown),
  });
  assert.is(((await failure(get(nameless, "http://mirror.test/a.iso"))) as TypeError).cause, unknown);
});

tests("what is no answer of HTTP, or of another kind, fails", async (context) => {
  for (const said of [
    "SSH-2.0-server\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "",
  ]) {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(said));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    context.ends.push(() => server.close());
    const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    assert.instance(await failure(get(context.fetcher([source(root)]), `${root}a.iso`)), TypeError, said);
  }
});

tests("a body that breaks off is no shorter one", async (context) => {
  const server = await context.serve((_request, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("hello", () => response.destroy());
  });
  const root = `http://127.0.0.1:${server.port}/`;
  const response = await get(context.fetcher([source(root)]), `${root}a.iso`);
  assert.instance(await within(10_000, "the end of the body", failure(response.text())), Error);
});

tests(
  "a signal ends a request before it, during the look-up, and in the middle of a body",
  async (context) => {
    const server = await context.serve((_request, response) => {
      response.writeHead(200, { "Content-Length": "10" });
      response.write("hello");
    });
    const prefix = `http://mirror.test:${server.port}/`;
    const why = new Error("not wanted any more");
    const never = context.fetcher([source(prefix, [LOOPBACK])], { resolve: () => new Promise(() => {}) });
    const init = { redirect: "manual", signal: AbortSignal.abort(why) } as const;
    assert.is(await failure(never.fetch(`${prefix}a.iso`, init)), why);
    const during = new AbortController();
    const pending = failure(get(never, `${prefix}a.iso`, { signal: during.signal }));
    during.abort(why);
    assert.is(await pending, why);
    assert.is(server.connections, 0);
    const fetcher = context.fetcher([source(prefix, [LOOPBACK])], { resolve: resolvesTo("127.0.0.1") });
    const later = new AbortController();
    const response = await get(fetcher, `${prefix}a.iso`, { signal: later.signal });
    const reader = response.body!.getReader();
    assert.is(Buffer.from((await reader.read()).value!).toString(), "hello");
    const next = failure(reader.read());
    later.abort(why);
    assert.is(await within(10_000, "the end", next), why);
  },
);

tests("closing ends connections in use", async (context) => {
  const server = await context.serve((_request, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("hello");
  });
  const root = `http://127.0.0.1:${server.port}/`;
  const fetcher = context.fetcher([source(root)]);
  const text = failure((await get(fetcher, `${root}a.iso`)).text());
  fetcher.close();
  assert.instance(await within(10_000, "the end", text), Error);
});

tests("redirects are not followed, and who expects that is told", async (context) => {
  const fetcher = context.fetcher([source("http://127.0.0.1/")]);
  for (const init of [{ redirect: "follow" } as const, {}]) {
    const error = await failure(fetcher.fetch("http://127.0.0.1/a.iso", init));
    assert.match(error.message, "redirects are not followed here");
  }
});

tests.run();
