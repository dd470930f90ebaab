/** The engine with an image at an address, from a web server that a test spoils. */
import * as assert from "uvu/assert";
import { keysInMemory } from "../../../src/resuming/resume-keys.ts";
import { MediaServer } from "../../../web/serving/media-server.ts";
import { webFileAt } from "../../../web/serving/source.ts";
import { sequence } from "../../bytes.ts";
import { WebServer } from "../../export/http/web-server.ts";
import { suite, until } from "../../harness.ts";
import { Reports, type Scene, SIZE, scene } from "./scene.ts";

const tests = suite("the engine with an address");

let web: WebServer;
let gateway: Scene | undefined;

tests.before.each(async () => {
  web = await WebServer.start();
  web.image = sequence(SIZE);
});

tests.after.each(async () => {
  gateway?.end();
  gateway = undefined;
  await web.close();
});

/** Begins to serve what the web server has, as a page that has looked at it before. */
async function begin({ size = SIZE, cache = 1 << 24, retry = 0, query = "" } = {}) {
  const file = { ...webFileAt(`${web.url}${query}`), size };
  gateway = await scene({ file, cache, retry, resumeKeys: keysInMemory() });
  const reports = new Reports();
  const server = new MediaServer(gateway.options, reports.take);
  return { ...gateway, server, reports };
}

tests("its bytes are served, through windows and cache, with figures and a map", async () => {
  const { client, server, reports } = await begin();
  const remote = await client();
  assert.equal(await remote.read(0, SIZE), sequence(SIZE));
  const asked = web.asked.length;
  assert.equal(await remote.read(4096, 4096), sequence(4096, 4096));
  assert.is(web.asked.length, asked, "out of the cache");
  await until("it says so", () => reports.last.totals.reads === 2);
  assert.equal([reports.last.totals.bytesCovered, reports.last.totals.hits], [SIZE, 1]);
  await until("the map", () => reports.all.some(({ map }) => map !== undefined));
  server.stop();
  await reports.until("ended");
  await until("nothing is asked any more", () => web.open === 0);
});

tests("what it cannot serve it says in words before it connects, without secrets", async () => {
  web.validators = {};
  web.always = (_request, response) => response.writeHead(403).end();
  const { asked, reports } = await begin({ query: "?signature=secret" });
  await reports.until("failed");
  assert.match(reports.last.failure?.words ?? "", /^opening http:.*disk\.iso.*the server does not allow it/);
  assert.not.match(JSON.stringify(reports.all), /secret/);
  assert.equal(asked, []);
});

tests("an image that was changed since it was chosen is not served", async () => {
  const { asked, reports } = await begin({ size: SIZE + 1 });
  await reports.until("failed");
  assert.match(
    reports.last.failure?.words ?? "",
    /was changed since it was chosen: it has 65536 bytes in place/,
  );
  assert.equal(asked, []);
});

tests("another image under it: reads fail, in words, and none of its bytes is served", async () => {
  const { client, server, reports } = await begin({ cache: 0 });
  const remote = await client();
  assert.equal(await remote.read(0, 4096), sequence(4096));
  web.validators = { etag: '"two"' };
  web.image = sequence(SIZE, 1);
  await remote.read(8192, 4096).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /EIO/),
  );
  await reports.until("unreadable");
  assert.match(reports.lines.join("\n"), /it has another ETag/);
  server.stop();
  await reports.until("ended");
});

tests("a web server that is away for a while is tried again, and that is told", async () => {
  const { client, server, reports } = await begin({ cache: 0 });
  const remote = await client();
  web.next.push((_request, response) => response.writeHead(503).end());
  assert.equal(await remote.read(0, 4096), sequence(4096));
  await until("it is told", () => /\(503\).*trying again/.test(reports.lines.join("\n")));
  assert.ok(!reports.states.includes("unreadable"));
  server.stop();
  await reports.until("ended");
});

tests("over a link that is lost it goes on", async () => {
  const { client, sockets, server, reports } = await begin({ retry: 60 });
  assert.equal(await (await client()).read(0, 4096), sequence(4096));
  sockets[0]!.terminate();
  await until("another WebSocket", () => sockets.length === 2);
  assert.equal(await (await client()).read(4096, 4096), sequence(4096, 4096));
  // A state that lasts shorter than reports are apart is in the lines only.
  await until("it is told", () => /the link was lost/.test(reports.lines.join("\n")));
  server.stop();
  await reports.until("ended");
});

tests("stop() while the web server does not answer", async () => {
  web.always = () => {};
  const { asked, server, reports } = await begin();
  await until("it is asked", () => web.open === 1);
  server.stop();
  await reports.until("ended");
  await until("it is not asked any more", () => web.open === 0);
  assert.equal(asked, []);
});

tests.run();
