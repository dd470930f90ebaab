/** The same code where a browser follows redirects itself, hides headers, and says nothing of what went wrong. */
import * as assert from "uvu/assert";
import type { HttpError } from "../../../src/export/http/http-error.ts";
import { type HttpExportOptions, httpExport } from "../../../src/export/http.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { HastyClock } from "./hasty-clock.ts";

/** What a server of the simulated web answers. */
type Site = (url: URL, headers: Headers) => Response;

/** Headers of an answer that a page of another origin sees. */
const SAFE = ["cache-control", "content-length", "content-type", "expires", "last-modified", "pragma"];

interface Web {
  fetch: typeof globalThis.fetch;
  /** What reached a server: origin and path, and the headers that were not for the range. */
  asked: string[];
}

/** A browser's `fetch` on a page, before a web of these sites. */
function browser(page: URL, sites: Record<string, Site>): Web {
  const asked: string[] = [];
  async function fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    init.signal?.throwIfAborted();
    let url = new URL(String(input));
    const headers = new Headers(init.headers);
    for (let isRedirected = false; ; isRedirected = true) {
      const extra = [...headers.keys()].filter((name) => name !== "range" && name !== "accept-encoding");
      asked.push([init.mode ?? "cors", url.href, ...extra].join(" "));
      const site = sites[url.origin];
      if (!site) throw new TypeError("Failed to fetch");
      const response = site(url, headers);
      const isForeign = url.origin !== page.origin;
      const location = response.headers.get("location");
      if (location && init.redirect === "manual")
        return known(new Response(null), "opaqueredirect", "", false);
      if (init.mode === "no-cors") return known(new Response(null), "opaque", "", false);
      const allowed = response.headers.get("access-control-allow-origin");
      if (isForeign && allowed !== "*" && allowed !== page.origin) throw new TypeError("Failed to fetch");
      const named = (response.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(/, */);
      if (isForeign && extra.some((name) => !named.includes(name))) throw new TypeError("Failed to fetch");
      if (location) {
        url = new URL(location, url);
        continue;
      }
      const exposed = (response.headers.get("access-control-expose-headers") ?? "")
        .toLowerCase()
        .split(/, */);
      if (isForeign) {
        for (const name of [...response.headers.keys()]) {
          if (!SAFE.includes(name) && !exposed.includes(name)) response.headers.delete(name);
        }
      }
      return known(response, isForeign ? "cors" : "basic", url.href, isRedirected);
    }
  }
  return { fetch: fetch as typeof globalThis.fetch, asked };
}

/** What a constructor cannot set. */
function known(response: Response, type: string, url: string, redirected: boolean): Response {
  const status = type === "opaqueredirect" || type === "opaque" ? 0 : response.status;
  const entries = Object.entries({ type, url, redirected, status, ok: status >= 200 && status < 300 });
  return Object.defineProperties(
    response,
    Object.fromEntries(entries.map(([name, value]) => [name, { value }])),
  );
}

const image = sequence(10_000);

/** Sends parts of the file, with these headers besides. */
const file =
  (extra: Record<string, string> = {}): Site =>
  (_url, headers) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
    if (first === undefined) return new Response(image, { headers: extra });
    const bytes = image.slice(Number(first), Number(last) + 1);
    return new Response(bytes, {
      status: 206,
      headers: {
        etag: '"one"',
        "content-range": `bytes ${first}-${last}/${image.length}`,
        "content-length": String(bytes.length),
        ...extra,
      },
    });
  };
const to =
  (location: string, extra: Record<string, string> = {}): Site =>
  () =>
    new Response(null, { status: 302, headers: { location, ...extra } });

const CORS = { "access-control-allow-origin": "*", "access-control-expose-headers": "Content-Range, ETag" };
const page = new URL("https://page.example/index.html");

const tests = suite("http export in a page");

const open = (web: Web, url: string, options: HttpExportOptions = {}, location: URL = page) =>
  httpExport(url, { fetch: web.fetch, location, clock: new HastyClock(), ...options });

tests("from another origin, nothing is sent that would need a preflight", async () => {
  const web = browser(page, { "https://files.example": file(CORS) });
  const target = await open(web, "https://files.example/disk.iso");
  assert.equal(await target.read(5, 10), sequence(10, 5));
  assert.equal(web.asked, Array(2).fill("cors https://files.example/disk.iso"));
  await target.close();
});

tests("from its own origin, with If-Range", async () => {
  const web = browser(page, { [page.origin]: file() });
  const target = await open(web, "https://page.example/disk.iso");
  assert.equal(await target.read(5, 10), sequence(10, 5));
  assert.is(web.asked[1], "cors https://page.example/disk.iso if-range");
  await target.close();
});

tests("a file that was changed is noticed by what the page sees", async () => {
  const sites = { "https://files.example": file(CORS) };
  const web = browser(page, sites);
  const target = await open(web, "https://files.example/disk.iso");
  sites["https://files.example"] = file({ ...CORS, etag: '"two"' });
  assert.is(((await failure(target.read(5, 10))) as HttpError).code, "changed");
  await target.close();
});

tests("a server that does not let the page read: the header that is missing", async () => {
  const web = browser(page, { "https://files.example": file() });
  const error = (await failure(open(web, "https://files.example/disk.iso"))) as HttpError;
  assert.is(error.code, "cors");
  assert.match(error.message, /does not answer with "Access-Control-Allow-Origin: https:\/\/page\.example"$/);
  assert.equal(web.asked, ["cors https://files.example/disk.iso", "no-cors https://files.example/disk.iso"]);
});

tests("and the one that allows headers", async () => {
  const web = browser(page, { "https://files.example": file(CORS) });
  const options = { headers: { "X-Token": "s3cret" } };
  const error = (await failure(open(web, "https://files.example/disk.iso", options))) as HttpError;
  assert.is(error.code, "cors");
  assert.match(error.message, / or "Access-Control-Allow-Headers: x-token"$/);
  assert.not.match(error.message, /s3cret/);
});

tests("and the one that shows the range", async () => {
  const web = browser(page, { "https://files.example": file({ "access-control-allow-origin": "*" }) });
  const error = (await failure(open(web, "https://files.example/disk.iso"))) as HttpError;
  assert.is(error.code, "cors-headers");
  assert.match(error.message, /lack "Access-Control-Expose-Headers: Content-Range, ETag"$/);
});

tests("an opening that is cancelled asks nothing more", async () => {
  const stop = new AbortController();
  const web = browser(page, {
    "https://files.example": () => {
      stop.abort(new Error("nobody wants it"));
      throw new TypeError("Failed to fetch");
    },
  });
  const error = await failure(open(web, "https://files.example/disk.iso", { signal: stop.signal }));
  assert.is(error, stop.signal.reason);
  assert.equal(web.asked, ["cors https://files.example/disk.iso"]);
});

tests("no server at all", async () => {
  const web = browser(page, {});
  const error = (await failure(open(web, "https://files.example/disk.iso"))) as HttpError;
  assert.is(error.code, "unreachable");
  assert.is(error.mayPass, true);
  assert.match(
    error.message,
    /cannot be reached, its certificate is not trusted, or this page may not ask it/,
  );
});

tests("a page that could read does not ask what it may, when the network is away", async () => {
  const sites: Record<string, Site> = { "https://files.example": file(CORS) };
  const web = browser(page, sites);
  const target = await open(web, "https://files.example/disk.iso", { retries: 1 });
  delete sites["https://files.example"];
  assert.is(((await failure(target.read(5, 10))) as HttpError).code, "unreachable");
  assert.equal(web.asked, Array(3).fill("cors https://files.example/disk.iso"));
  await target.close();
});

tests("a page over https asks nothing over http, except its own machine", async () => {
  const web = browser(page, { "http://localhost:8000": file(CORS), "http://127.0.0.1": file(CORS) });
  const error = (await failure(open(web, "http://files.example/disk.iso"))) as HttpError;
  assert.is(error.code, "mixed-content");
  assert.match(error.message, /may not read over http; use an https:\/\/ URL, or nbd-serve$/);
  assert.equal(web.asked, []);
  for (const url of ["http://localhost:8000/disk.iso", "http://127.0.0.1/disk.iso"]) {
    await (await open(web, url)).close();
  }
  const plain = new URL("http://page.example/");
  await (
    await open(browser(plain, { "http://a.example": file(CORS) }), "http://a.example/", {}, plain)
  ).close();
});

tests("without headers, redirects are followed by the browser, once", async () => {
  const notes: string[] = [];
  const web = browser(page, {
    "https://start.example": to("https://files.example/disk.iso?signed=s3cret", CORS),
    "https://files.example": file(CORS),
  });
  const target = await open(web, "https://start.example/disk", { onnote: (line) => notes.push(line) });
  assert.equal(await target.read(5, 10), sequence(10, 5));
  assert.equal(notes, ["https://start.example/disk redirects to https://files.example/disk.iso?…"]);
  assert.is(web.asked.at(-1), "cors https://files.example/disk.iso?signed=s3cret");
  assert.is(web.asked.filter((line) => line.includes("start.example")).length, 2);
  await target.close();
});

tests("headers never go to another origin, and go to their own after the redirect", async () => {
  const web = browser(page, {
    "https://start.example": (url, headers) =>
      url.pathname === "/disk"
        ? to("/moved", CORS)(url, headers)
        : file({ ...CORS, "access-control-allow-headers": "x-token, authorization" })(url, headers),
  });
  const target = await open(web, "https://joe:s3cret@start.example/disk", { headers: { "x-token": "t" } });
  assert.equal(web.asked, [
    "cors https://start.example/disk authorization x-token",
    "cors https://start.example/disk",
    "cors https://start.example/moved",
    "cors https://start.example/moved authorization x-token",
  ]);
  await target.close();
  const other = browser(page, {
    "https://start.example": to("https://files.example/disk.iso", CORS),
    "https://files.example": file(CORS),
  });
  const far = await open(other, "https://start.example/disk", { headers: { "x-token": "t" } });
  assert.equal(await far.read(0, 5), sequence(5));
  assert.ok(other.asked.every((line) => !line.includes("files.example") || !line.includes("x-token")));
  await far.close();
});

tests("a redirect that only those see who send headers cannot be followed", async () => {
  const web = browser(page, {
    "https://start.example": (url, headers) =>
      headers.has("x-token")
        ? to("https://files.example/disk.iso", CORS)(url, headers)
        : new Response("log in", { status: 401, headers: CORS }),
  });
  const options = { headers: { "x-token": "s3cret" } };
  const error = (await failure(open(web, "https://start.example/disk", options))) as HttpError;
  assert.is(error.code, "redirect");
  assert.match(error.message, /a browser does not tell a page where to; use the URL that it leads to$/);
});

tests("nor one to where those who send none get no file", async () => {
  const web = browser(page, {
    "https://start.example": (url, headers) =>
      to(headers.has("x-token") ? "https://files.example/disk.iso" : "https://login.example/", CORS)(
        url,
        headers,
      ),
    "https://login.example": () => new Response("log in", { status: 404, headers: CORS }),
    "https://files.example": file(CORS),
  });
  const options = { headers: { "x-token": "s3cret" } };
  const error = (await failure(open(web, "https://start.example/disk", options))) as HttpError;
  assert.is(error.code, "redirect");
  assert.match(error.message, /those who send headers or a password/);
});

tests.run();
