import * as assert from "uvu/assert";
import type { HttpError } from "../../../src/export/http/http-error.ts";
import { httpExport } from "../../../src/export/http.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { status, WebServer } from "./web-server.ts";

const tests = suite<{ server: WebServer }>("http export: a file that is changed");
tests.before.each(async (context) => {
  context.server = await WebServer.start();
});
tests.after.each(({ server }) => server.close());

const modified = "Sun, 01 Nov 2026 10:00:00 GMT";
const later = "Sun, 01 Nov 2026 10:00:01 GMT";

/** What a server tells of a file, what it tells of the next one, and how that is noticed. */
const changes: Record<string, [Record<string, string>, Record<string, string>, RegExp]> = {
  "another ETag": [{ etag: '"one"' }, { etag: '"two"' }, /it has another ETag/],
  "another weak ETag": [{ etag: 'W/"one"' }, { etag: 'W/"two"' }, /it has another ETag/],
  "an ETag that became weak": [{ etag: '"one"' }, { etag: 'W/"one"' }, /it has another ETag/],
  "no ETag any more": [{ etag: '"one"' }, {}, /it has another ETag/],
  "the same weak ETag at another time": [
    { etag: 'W/"one"', "last-modified": modified },
    { etag: 'W/"one"', "last-modified": later },
    /it was modified at another time/,
  ],
  "another time": [
    { "last-modified": modified },
    { "last-modified": later },
    /it was modified at another time/,
  ],
};

for (const [what, [before, after, words]] of Object.entries(changes)) {
  tests(
    `${what}: this read fails and all later ones, also when the first file is back`,
    async ({ server }) => {
      server.validators = before;
      const target = await httpExport(server.url);
      assert.equal(await target.read(0, 10), sequence(10));
      server.validators = after;
      server.image = sequence(10_000, 5);
      const error = (await failure(target.read(10, 20))) as HttpError;
      assert.is(error.code, "changed");
      assert.is(error.mayPass, false);
      assert.ok(
        error.message.startsWith(
          `reading 20 bytes at 10 of ${server.url}: the file was changed on the server: `,
        ),
      );
      assert.match(error.message, words);
      server.validators = before;
      server.image = sequence(10_000);
      const asked = server.asked.length;
      const next = (await failure(target.read(50, 1))) as HttpError;
      assert.is(next.code, "changed");
      assert.ok(next.message.startsWith(`reading 1 bytes at 50 of ${server.url}: the file was changed`));
      assert.match((await target.identity()).changed!, words);
      assert.is(server.asked.length, asked, "nothing more is asked for");
      await target.close();
    },
  );
}

tests("another size, where nothing else is told", async ({ server }) => {
  server.validators = {};
  const target = await httpExport(server.url);
  server.image = sequence(10_001);
  const error = (await failure(target.read(10, 20))) as HttpError;
  assert.is(error.code, "changed");
  assert.match(error.message, /it has 10001 bytes, and had 10000; eject it, and serve it again$/);
  await target.close();
});

tests(
  "a file that became shorter, where the server refuses what is not there any more",
  async ({ server }) => {
    const target = await httpExport(server.url);
    server.next.push(status(416, { "content-range": "bytes */5" }));
    const error = (await failure(target.read(10, 20))) as HttpError;
    assert.is(error.code, "changed");
    assert.match(error.message, /it has 5 bytes, and had 10000/);
    await target.close();
  },
);

tests("mirrors that agree on a strong ETag may disagree about the time", async ({ server }) => {
  const target = await httpExport(server.url);
  server.validators = { etag: '"one"', "last-modified": later };
  assert.equal(await target.read(0, 10), sequence(10));
  server.validators = { etag: '"one"' };
  assert.equal(await target.read(10, 10), sequence(10, 10));
  await target.close();
});

tests("a weak ETag is not sent in If-Range, which knows only strong ones", async ({ server }) => {
  server.validators = { etag: 'W/"one"', "last-modified": modified };
  const target = await httpExport(server.url);
  assert.equal(await target.read(0, 10), sequence(10));
  assert.is(server.asked[1]!.headers["if-range"], undefined);
  await target.close();
});

tests("what was under way when the file was changed is of the old file, or fails", async ({ server }) => {
  const target = await httpExport(server.url);
  let finish = () => {};
  server.next.push((_, response) => {
    response.writeHead(206, { "content-range": "bytes 0-9/10000", "content-length": "10", etag: '"one"' });
    response.write(sequence(5));
    finish = () => response.end(sequence(5, 5));
  });
  const early = target.read(0, 10);
  early.catch(() => {});
  while (server.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  server.validators = { etag: '"two"' };
  assert.is(((await failure(target.read(20, 10))) as HttpError).code, "changed");
  finish();
  assert.equal(await early, sequence(10));
  await target.close();
});

tests(
  "the identity: path, ETag and time; it is asked for anew, and says how the file was changed",
  async ({ server }) => {
    const target = await httpExport(`${server.origin}/iso/a%20disk.iso?token=s3cret`);
    const identity = { name: '/iso/a disk.iso "one"', modified: Date.parse(modified), changed: undefined };
    assert.equal(await target.identity(), identity);
    assert.is(server.asked.length, 2);
    server.always = status(404);
    assert.is(((await failure(target.identity())) as HttpError).code, "not-found", "it cannot be told now");
    server.always = (...http) => server.part(...http);
    assert.equal(await target.identity(), identity);
    server.image = sequence(7);
    const { changed, ...rest } = await target.identity();
    assert.match(changed!, /^the file was changed on the server: it has 7 bytes, and had 10000/);
    assert.equal(rest, { name: identity.name, modified: identity.modified });
    await target.close();
  },
);

tests("the identity of a file of which little is told, and of one with a long name", async ({ server }) => {
  server.validators = {};
  const target = await httpExport(`${server.origin}/%ff.iso`);
  assert.equal(await target.identity(), { name: "/%ff.iso", modified: undefined, changed: undefined });
  await target.close();
  server.validators = { etag: `"${"e".repeat(300)}"` };
  const long = await httpExport(`${server.origin}/${"long".repeat(100)}/disk.iso`);
  const { name } = await long.identity();
  assert.ok(name.length <= 255, String(name.length));
  assert.match(name, /disk\.iso "eee/);
  await long.close();
});

tests.run();
