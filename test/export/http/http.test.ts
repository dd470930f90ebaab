import { getEventListeners } from "node:events";
import * as assert from "uvu/assert";
import { HttpError } from "../../../src/export/http/http-error.ts";
import { type HttpExportOptions, httpExport } from "../../../src/export/http.ts";
import { giveBack, isLent } from "../../../src/streams/lent.ts";
import { failure, isPending, sequence } from "../../bytes.ts";
import { suite, until, within } from "../../harness.ts";
import { simulatedClock } from "../../resuming/clock.ts";
import { HastyClock } from "./hasty-clock.ts";
import { redirect, status, WebServer } from "./web-server.ts";

const tests = suite<{ server: WebServer; notes: string[]; options: HttpExportOptions }>("http export");
tests.before.each(async (context) => {
  context.server = await WebServer.start();
  context.notes = [];
  context.options = { onnote: (line) => context.notes.push(line) };
});
tests.after.each(({ server }) => server.close());

tests("reads are exact, and each is one request for just its bytes", async ({ server, options, notes }) => {
  const target = await httpExport(server.url, options);
  assert.is(target.size, 10_000);
  assert.is(target.write, undefined);
  for (const [offset, length] of [
    [0, 10_000],
    [0, 1],
    [9999, 1],
    [512, 4096],
  ] as const) {
    assert.equal(await target.read(offset, length), sequence(10_000).slice(offset, offset + length));
  }
  assert.equal(server.ranges, [
    "bytes=0-0",
    "bytes=0-9999",
    "bytes=0-0",
    "bytes=9999-9999",
    "bytes=512-4607",
  ]);
  assert.equal(await target.read(10, 0), new Uint8Array(0), "nothing is asked for");
  assert.is(server.asked.length, 5);
  for (const { method, headers } of server.asked) {
    assert.is(method, "GET");
    assert.match(headers["accept-encoding"]!, /^identity(, identity)?$/, "some runtimes add it themselves");
  }
  assert.equal(
    server.asked.map(({ headers }) => headers["if-range"]),
    [undefined, '"one"', '"one"', '"one"', '"one"'],
  );
  await target.close();
  assert.equal(notes, []);
});

tests("long reads are lent, and what was given back is read into again", async ({ server }) => {
  server.image = sequence(1 << 20);
  const target = await httpExport(server.url);
  const first = await target.read(0, 1 << 18);
  assert.ok(isLent(first));
  const { buffer } = first;
  giveBack(first);
  const second = await target.read(1 << 18, 1 << 18);
  assert.is(second.buffer, buffer);
  assert.equal(second, sequence(1 << 18, 1 << 18));
  await target.close();
});

/** All that was asked for, and more. */
const longer = (bytes: Uint8Array) => sequence(Math.max(51, bytes.length + 1));

/** What a server does wrong, and the code and words that tell it. */
const faults: Record<string, [(server: WebServer) => void, string, RegExp]> = {
  "no ranges": [
    (server) => {
      server.always = (request, response) => {
        delete request.headers.range;
        server.part(request, response);
      };
    },
    "no-ranges",
    /sends all of the file in place of a part \(200\)/,
  ],
  "another part": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-range": "bytes 1-1/10000" });
    },
    "content-range",
    /another part than bytes 0 to 0: its Content-Range is "bytes 1-1\/10000"$/,
  ],
  "a part that begins elsewhere": [
    (server) => {
      server.always = (request, response) => {
        const [, last] = request.headers.range!.split("-");
        server.part(request, response, { "content-range": `bytes 1-${last}/10000` });
      };
    },
    "content-range",
    /its Content-Range is "bytes 1-0\/10000"$/,
  ],
  "a part that ends elsewhere": [
    (server) => {
      server.always = (request, response) => {
        const [, first] = /=(\d+)/.exec(request.headers.range!)!;
        server.part(request, response, { "content-range": `bytes ${first}-500/10000` });
      };
    },
    "content-range",
    /its Content-Range is "bytes 0-500\/10000"$/,
  ],
  "another unit": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-range": "lines 0-0/10000" });
    },
    "content-range",
    /"lines 0-0\/10000"$/,
  ],
  "no Content-Range": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-range": undefined });
    },
    "content-range",
    /its Content-Range is none$/,
  ],
  "a size that no file has": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-range": "bytes 0-0/9007199254740993" });
    },
    "content-range",
    /"bytes 0-0\/9007199254740993"$/,
  ],
  "no size": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-range": "bytes 0-0/*" });
    },
    "no-size",
    /does not tell how long the file is$/,
  ],
  compressed: [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-encoding": "gzip" });
    },
    "compressed",
    /sends it compressed \("gzip"\), although it was asked not to/,
  ],
  "announced as longer": [
    (server) => {
      server.always = (...http) => server.part(...http, { "content-length": "51" }, longer);
    },
    "too-long",
    /announced 1 bytes, and sends 51$/,
  ],
  "a longer body": [
    (server) => {
      server.always = (...http) =>
        server.part(...http, { "content-length": undefined, "transfer-encoding": "chunked" }, longer);
    },
    "too-long",
    /sent more than the 1 bytes that it had announced$/,
  ],
  "0 bytes": [
    (server) => {
      server.image = sequence(0);
      server.always = (_, response) => response.end();
    },
    "empty",
    /the file has 0 bytes$/,
  ],
  "0 bytes, told by a refusal": [
    (server) => {
      server.always = status(416, { "content-range": "bytes */0" });
    },
    "empty",
    /the file has 0 bytes$/,
  ],
  "not modified": [(server) => (server.always = status(304)), "status", /makes no sense here \(304\)$/],
  "a login": [(server) => (server.always = status(401)), "unauthorized", /wants a login; .* \(401\)$/],
  "no permission": [(server) => (server.always = status(403)), "forbidden", /may have expired \(403\)$/],
  "no such file": [(server) => (server.always = status(404)), "not-found", /no such file \(404\)$/],
  "a file that is gone": [(server) => (server.always = status(410)), "gone", /removed for good \(410\)$/],
  "a refused range": [(server) => (server.always = status(416)), "range-refused", /refuses .* \(416\)$/],
  "a redirect to nowhere": [
    (server) => (server.always = status(302)),
    "redirect",
    /redirects \(302\) to nowhere$/,
  ],
  "a redirect to another scheme": [
    (server) => (server.always = redirect("ftp://other.example/secret?a=b")),
    "redirect",
    /redirects \(302\) to ftp:, where no file can be read from$/,
  ],
  "redirects without end": [
    (server) => (server.always = redirect("/again?token=s3cret")),
    "redirect",
    /redirects more than 5 times; the last led to http:\/\/127\.0\.0\.1:\d+\/again\?…$/,
  ],
};

for (const [what, [spoil, code, words]] of Object.entries(faults)) {
  tests(`${what}: one line, at once`, async ({ server, notes, options }) => {
    spoil(server);
    const url = server.url.replace("//", "//joe:s3cret@");
    const error = (await failure(httpExport(`${url}?sig=s3cret#s3cret`, options))) as HttpError;
    assert.is(error.name, "HttpError", String(error));
    assert.is(error.code, code);
    assert.match(error.message, words);
    assert.ok(error.message.startsWith(`opening ${server.url}?…: `), error.message);
    assert.not.match(error.message, /s3cret|joe|\n/);
    assert.is(error.mayPass, false);
    assert.equal(notes, [], "nothing is tried again");
    await until("the end of all requests", () => server.open === 0);
  });
}

tests(
  "each of these is noticed in the middle too, and none of its bytes are handed on",
  async ({ server }) => {
    const same = [
      "no ranges",
      "another part",
      "a part that begins elsewhere",
      "a part that ends elsewhere",
      "another unit",
      "no Content-Range",
      "compressed",
      "a longer body",
    ];
    for (const what of [...same, "a login", "no such file", "redirects without end"]) {
      const target = await httpExport(server.url);
      const { always } = server;
      const [spoil, code] = faults[what]!;
      spoil(server);
      const error = (await failure(target.read(100, 50))) as HttpError;
      assert.is(error.code, code, `${what}: ${error}`);
      assert.ok(error.message.startsWith(`reading 50 bytes at 100 of ${server.url}: `));
      server.always = always;
      assert.equal(await target.read(100, 50), sequence(50, 100), "it works again once the server does");
      await target.close();
    }
  },
);

tests("a server that never stops sending is cut off", async ({ server }) => {
  for (const code of [200, 206, 302, 404]) {
    server.always = (_, response) => {
      response.writeHead(code);
      const more = () => void (response.destroyed || response.write(sequence(1 << 16), more));
      more();
    };
    const signals: (AbortSignal | null | undefined)[] = [];
    const watched: typeof fetch = (input, init) => {
      signals.push(init?.signal);
      return fetch(input, init);
    };
    assert.is(((await failure(httpExport(server.url, { fetch: watched }))) as HttpError).name, "HttpError");
    assert.ok(signals.at(-1)?.aborted);
    await until(`the end of ${code}`, () => server.open === 0);
  }
});

tests("what cannot be a file's URL is told, without its secrets", async () => {
  for (const url of ["ftp://joe:s3cret@host/x", "s3cret:s3cret@host/x", "/x?s3cret", "https://s3cret@", ""]) {
    const error = (await failure(httpExport(url))) as HttpError;
    assert.is(error.code, "url");
    assert.is(error.message, "the URL of a file must begin with http:// or https://, and have a host");
    assert.is(error.cause, undefined);
  }
});

tests("no server: a line that says so, after two more attempts", async ({ server, options, notes }) => {
  const { url } = server;
  await server.close();
  const clock = new HastyClock();
  const error = (await failure(httpExport(url, { ...options, clock }))) as HttpError;
  assert.is(error.code, "unreachable");
  assert.match(error.message, /^opening http:\/\/127.*: nothing listens there$/);
  assert.equal(notes, [`opening ${url}: nothing listens there; trying again`]);
  assert.is(clock.now(), 400 + 800);
  await server.listen(0);
});

tests("a host that does not exist, and one that does not speak HTTP", async ({ options }) => {
  const fetch = async () => {
    throw new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code: "ENOTFOUND" }) });
  };
  const error = await failure(httpExport("http://nowhere.example/x", { ...options, fetch, retries: 0 }));
  assert.match(error.message, /^opening http:\/\/nowhere\.example\/x: there is no host of that name$/);
  const refusing = async () => {
    throw new Error("http://h/a?s3cret is not allowed");
  };
  const refused = (await failure(httpExport("http://h/", { fetch: refusing }))) as HttpError;
  assert.is(
    refused.message,
    "opening http://h/: http://h/a?… is not allowed",
    "the words of a fetch of one's own",
  );
  assert.is(refused.mayPass, false);
});

tests("an ETag that is the same, but a 200: the server does not understand If-Range", async ({ server }) => {
  server.always = (request, response) => {
    if (request.headers["if-range"]) delete request.headers.range;
    server.part(request, response);
  };
  const target = await httpExport(server.url);
  assert.equal(await Promise.all([target.read(5, 10), target.read(6, 10)]), [
    sequence(10, 5),
    sequence(10, 6),
  ]);
  assert.equal(await target.read(7, 10), sequence(10, 7));
  assert.is(server.asked.filter(({ headers }) => headers["if-range"]).length, 2, "it is not asked so again");
  await target.close();
});

tests("user and password in the URL become a header; other headers go along", async ({ server }) => {
  const url = server.url.replace("//", "//j%C3%B6:p%40ss@");
  const target = await httpExport(url, { headers: { "X-Token": "t" } });
  await target.read(0, 1);
  for (const { headers } of server.asked) {
    assert.is(headers.authorization, `Basic ${Buffer.from("jö:p@ss").toString("base64")}`);
    assert.is(headers["x-token"], "t");
  }
  assert.is(target.url, server.url);
  await target.close();
});

tests("a header says more than the URL; a fragment is nobody's", async () => {
  const asked: [string, string | null][] = [];
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    asked.push([String(url), new Headers(init?.headers).get("authorization")]);
    return new Response(null, { status: 404 });
  };
  await failure(
    httpExport("http://joe:pass@host/x?a=b#s3cret", { fetch, headers: { Authorization: "Bearer t" } }),
  );
  assert.equal(asked, [["http://host/x?a=b", "Bearer t"]]);
});

tests("headers that cannot be sent are refused, and their values not told", async ({ server }) => {
  for (const headers of [
    { Range: "bytes=0-1" },
    { "if-range": "x" },
    { "Accept-Encoding": "gzip" },
    { "Authorization: s3cret": "x" },
    { Authorization: "s3\ncret" },
    { Authorization: "s3cret ☠" },
  ] as Record<string, string>[]) {
    const error = await failure(httpExport(server.url, { headers }));
    assert.instance(error, TypeError);
    assert.match(error.message, /^headers: /);
    assert.not.match(error.message, /s3/);
  }
  assert.is(server.asked.length, 0);
});

tests("no more than so many parts at a time, the others in order", async ({ server }) => {
  const waiting: (() => void)[] = [];
  const target = await httpExport(server.url, { concurrency: 3 });
  server.always = (...http) => waiting.push(() => server.part(...http));
  const reads = Array.from({ length: 10 }, (_, i) => target.read(i * 10, 10));
  for (let done = 0; done < 10; done++) {
    await until("the next request", () => waiting.length > 0);
    waiting.shift()!();
    assert.equal(await reads[done], sequence(10, done * 10));
  }
  assert.is(server.mostOpen, 3);
  await target.close();
});

tests("a read that is cancelled ends its request, and nobody else's", async ({ server }) => {
  const target = await httpExport(server.url, { concurrency: 2 });
  const waiting: (() => void)[] = [];
  server.always = (...http) => waiting.push(() => server.part(...http));
  const [one, waits] = [new AbortController(), new AbortController()];
  const reads = [
    target.read(0, 1, { signal: one.signal }),
    target.read(1, 1),
    target.read(2, 1, { signal: waits.signal }),
    target.read(3, 1),
  ];
  await until("two requests", () => waiting.length === 2);
  const reason = new Error("nobody wants it");
  waits.abort(reason);
  assert.is(await failure(reads[2]!), reason);
  one.abort(reason);
  assert.is(await failure(reads[0]!), reason);
  await until("the next in line", () => waiting.length === 3);
  for (const answer of waiting.splice(0)) answer();
  assert.equal(await reads[1], sequence(1, 1));
  assert.equal(await reads[3], sequence(1, 3));
  assert.is(server.asked.length, 4, "the one in line was never asked for");
  assert.is(await failure(target.read(0, 1, { signal: one.signal })), reason);
  await target.close();
});

tests("close ends what is under way, what waits, and what is tried again", async ({ server }) => {
  const { clock } = simulatedClock();
  const target = await httpExport(server.url, { concurrency: 2, clock });
  server.next.push(status(503), () => {});
  const reads = [target.read(0, 1), target.read(1, 1), target.read(2, 1)].map(failure);
  await until("both requests", () => server.asked.length === 3);
  await within(5000, "the end", target.close());
  for (const error of (await Promise.all(reads)) as HttpError[]) assert.is(error.code, "closed");
  assert.is(((await failure(target.read(0, 1))) as HttpError).code, "closed");
  await until("the end of all requests", () => server.open === 0);
});

tests("a signal that outlives many reads keeps nothing of them", async ({ server, options }) => {
  const { signal } = new AbortController();
  const target = await httpExport(server.url, { ...options, signal, concurrency: 2 });
  server.next.push(status(404));
  const reads = Array.from({ length: 8 }, (_, i) => target.read(i, 10, { signal }));
  const ends = await Promise.allSettled(reads);
  assert.is(ends.filter(({ status }) => status === "fulfilled").length, 7);
  assert.is(getEventListeners(signal, "abort").length, 0);
  await target.close();
});

tests("close waits for what does not end at once", async ({ server, options }) => {
  let fail: (() => void) | undefined;
  const slow = (_input: unknown, _init: unknown) =>
    new Promise<Response>((_, reject) => {
      fail = () => reject(new TypeError("fetch failed"));
    });
  let use: typeof fetch = fetch;
  const target = await httpExport(server.url, { ...options, fetch: (...request) => use(...request) });
  use = slow;
  const reading = failure(target.read(0, 1));
  await until("the request", () => fail !== undefined);
  const closing = target.close();
  assert.ok(await isPending(closing));
  fail!();
  await closing;
  assert.is(((await reading) as HttpError).code, "closed");
});

tests("why a read is cancelled says nothing of the file", async ({ server }) => {
  const target = await httpExport(server.url);
  server.next.push(() => {});
  const stop = new AbortController();
  const reading = failure(target.read(0, 1, { signal: stop.signal }));
  await until("the request", () => server.asked.length === 2);
  const reason = new HttpError("changed", "of another export", { mayPass: true });
  stop.abort(reason);
  await reading;
  assert.equal(await target.read(0, 1), sequence(1));
  await target.close();
});

tests("opening can be cancelled", async ({ server }) => {
  server.always = () => {};
  const stop = new AbortController();
  const opening = failure(httpExport(server.url, { signal: stop.signal }));
  await until("the request", () => server.asked.length === 1);
  const reason = new Error("no more");
  stop.abort(reason);
  assert.is(await opening, reason);
  await until("the end of the request", () => server.open === 0);
});

tests("without ETag and Last-Modified it says what that means", async ({ server, options, notes }) => {
  server.validators = {};
  const target = await httpExport(server.url, options);
  assert.equal(await target.read(0, 5), sequence(5));
  assert.equal(notes, [
    `${server.url}: the server tells neither ETag nor Last-Modified, so only another size shows that the file was changed`,
  ]);
  await target.close();
});

tests("a note that fails disturbs nothing", async ({ server }) => {
  server.validators = {};
  const thrown: Error[] = [];
  const listener = (error: Error) => thrown.push(error);
  process.once("uncaughtException", listener);
  const onnote = () => {
    throw new Error("of the note");
  };
  const target = await httpExport(server.url, { onnote });
  assert.equal(await target.read(0, 5), sequence(5));
  assert.is(thrown[0]?.message, "of the note");
  await target.close();
});

tests.run();
