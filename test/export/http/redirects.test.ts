import * as assert from "uvu/assert";
import type { HttpError } from "../../../src/export/http/http-error.ts";
import { type HttpExportOptions, httpExport } from "../../../src/export/http.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { HastyClock } from "./hasty-clock.ts";
import { redirect, status, WebServer } from "./web-server.ts";

interface Context {
  /** Where the URL points, and where the file is. */
  start: WebServer;
  mirror: WebServer;
  notes: string[];
  options: HttpExportOptions;
}

const tests = suite<Context>("http export: redirects");
tests.before.each(async (context) => {
  context.start = await WebServer.start();
  context.mirror = await WebServer.start();
  context.notes = [];
  context.options = { onnote: (line) => context.notes.push(line), clock: new HastyClock() };
});
tests.after.each(async ({ start, mirror }) => {
  await start.close();
  await mirror.close();
});

for (const code of [301, 302, 303, 307, 308]) {
  tests(
    `${code} is followed, told once, and not asked for again`,
    async ({ start, mirror, options, notes }) => {
      start.always = redirect(`${mirror.url}?signed=s3cret`, code);
      const target = await httpExport(start.url, options);
      assert.equal(await target.read(0, 10), sequence(10));
      assert.equal(await target.read(10, 10), sequence(10, 10));
      assert.is(start.asked.length, 1);
      assert.equal(mirror.ranges, ["bytes=0-0", "bytes=0-9", "bytes=10-19"]);
      assert.is(mirror.asked[1]!.path, "/iso/disk.iso?signed=s3cret");
      assert.equal(notes, [`${start.url} redirects to ${mirror.url}?…`]);
      assert.is(target.url, `${mirror.url}?…`);
      assert.is((await target.identity()).name, '/iso/disk.iso "one"');
      await target.close();
    },
  );
}

tests("five redirects are followed, six are not", async ({ start }) => {
  start.always = (request, response) => {
    const left = Number(request.url!.slice(1));
    if (left === 0) start.part(request, response);
    else redirect(`/${left - 1}`)(request, response);
  };
  const target = await httpExport(`${start.origin}/5`);
  assert.is(target.url, `${start.origin}/0`);
  await target.close();
  assert.is(((await failure(httpExport(`${start.origin}/6`))) as HttpError).code, "redirect");
});

tests("headers and password go to the URL's own origin only", async ({ start, mirror }) => {
  start.next.push(redirect("/elsewhere"), redirect(mirror.url));
  mirror.next.push(redirect(mirror.url.replace("//", "//joe:other@")), redirect(`${start.origin}/back`));
  const url = start.url.replace("//", "//joe:s3cret@");
  const target = await httpExport(url, { headers: { "x-token": "s3cret" } });
  assert.is(target.url, `${start.origin}/back`);
  assert.equal(
    start.asked.map(({ path, headers }) => [path, headers["x-token"], headers.authorization?.slice(0, 5)]),
    [
      ["/iso/disk.iso", "s3cret", "Basic"],
      ["/elsewhere", "s3cret", "Basic"],
      ["/back", "s3cret", "Basic"],
    ],
  );
  for (const { headers } of mirror.asked) {
    assert.is(headers["x-token"], undefined);
    assert.is(headers.authorization, undefined);
    assert.is(headers.range, "bytes=0-0");
  }
  await target.close();
});

tests(
  "an address that a redirect led to, and that is not valid any more, is asked for anew",
  async (context) => {
    const { start, mirror, options, notes } = context;
    let number = 0;
    start.always = (...http) => redirect(`${mirror.url}?signed=${++number}`)(...http);
    const target = await httpExport(start.url, options);
    for (const code of [401, 403, 404, 410]) {
      mirror.next.push(status(code));
      assert.equal(await target.read(0, 10), sequence(10));
      assert.is(mirror.asked.at(-1)!.path, `/iso/disk.iso?signed=${number}`);
    }
    assert.is(number, 5);
    assert.is(notes.length, 1, "where it leads is the same to people");
    mirror.always = status(403);
    const error = (await failure(target.read(0, 10))) as HttpError;
    assert.is(error.status, 403);
    assert.match(error.message, /^reading 10 bytes at 0 of .*: redirected to .*\?…: .* \(403\)$/);
    assert.is(number, 6, "once");
    await target.close();
  },
);

tests(
  "a mirror that fails is left for where the URL leads now",
  async ({ start, mirror, options, notes }) => {
    start.next.push(redirect(mirror.url));
    const target = await httpExport(start.url, options);
    mirror.always = status(503);
    assert.equal(await target.read(0, 10), sequence(10));
    assert.is(target.url, start.url);
    assert.match(notes[1]!, /redirected to .*: the server cannot answer now \(503\); trying again$/);
    await target.close();
  },
);

tests("another file at another mirror is not mixed in", async ({ start, mirror, options }) => {
  start.next.push(redirect(mirror.url));
  start.validators = { etag: '"other"' };
  start.image = sequence(10_000, 1);
  const target = await httpExport(start.url, options);
  mirror.always = status(503);
  assert.is(((await failure(target.read(0, 10))) as HttpError).code, "changed");
  await target.close();
});

tests("from https to http it is not followed", async () => {
  const asked: string[] = [];
  const fetch = async (url: string | URL | Request) => {
    asked.push(String(url));
    return new Response(null, { status: 302, headers: { location: "http://other.example/x?s3cret" } });
  };
  const error = (await failure(httpExport("https://host.example/x", { fetch }))) as HttpError;
  assert.is(error.code, "redirect");
  assert.match(error.message, /redirects \(302\) from https to http:\/\/other\.example\/x\?…, where anybody/);
  assert.equal(asked, ["https://host.example/x"]);
});

tests.run();
