import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { type Gateway, gateway, parseConfig } from "../../../src/node/index.ts";
import { Sandbox, suite } from "../../harness.ts";
import { exchange } from "../raw-http.ts";

const tests = suite("the page's files");

const script = "let page;\n".repeat(1000);

let sandbox: Sandbox;
let folder: string;
let running: Gateway | undefined;

tests.before.each(async () => {
  sandbox = new Sandbox();
  folder = sandbox.path("web");
  await mkdir(`${folder}/js`, { recursive: true });
  await writeFile(`${folder}/index.html`, "the page");
  await writeFile(`${folder}/page.js`, script);
  await writeFile(`${folder}/js/nbd.js`, "let nbd;");
});

tests.after.each(async () => {
  await running?.close();
  running = undefined;
  await sandbox.end();
});

async function start(): Promise<Gateway> {
  const config = parseConfig("config.json", '{"configurations":{}}');
  running = await gateway({ config, port: 0, staticFolder: folder, log() {} });
  return running;
}

/** The answer to a GET, as it is. */
async function get(path: string, ...headers: string[]): Promise<{ head: string; body: string }> {
  const port = Number(new URL(running!.url).port);
  const answer = await exchange(port, [
    `GET ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: close",
    ...headers,
  ]);
  const at = answer.indexOf("\r\n\r\n");
  return { head: answer.slice(0, at), body: answer.slice(at + 4) };
}

tests("are served with their types, and asked for anew each time", async () => {
  const { url } = await start();
  for (const [path, type, text] of [
    ["/", "text/html; charset=utf-8", "the page"],
    ["/index.html?x=y", "text/html; charset=utf-8", "the page"],
    ["/page.js", "text/javascript; charset=utf-8", script],
    ["/js/nbd%2ejs", "text/javascript; charset=utf-8", "let nbd;"],
  ] as const) {
    const response = await fetch(new URL(path, url));
    assert.is(response.status, 200);
    assert.is(response.headers.get("content-type"), type);
    assert.is(response.headers.get("cache-control"), "no-cache");
    assert.is(response.headers.get("last-modified"), null);
    assert.is(
      response.headers.get("content-security-policy"),
      "default-src 'self'; connect-src 'self' https: http:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    );
    assert.is(await response.text(), text);
  }
});

tests("let a page that came over https ask web servers over https only; other answers, nobody", async () => {
  const config = parseConfig("config.json", '{"configurations":{}}');
  const proxied = { behindProxy: ["127.0.0.1"], access: "everybody" } as const;
  running = await gateway({ config, port: 0, staticFolder: folder, ...proxied, log() {} });
  const policyOf = async (path: string) => {
    const { head } = await get(path, "X-Forwarded-Proto: https", "X-Forwarded-For: 10.9.0.3");
    return /\r\nContent-Security-Policy: ([^\r]*)/i.exec(head)?.[1] ?? "";
  };
  assert.match(await policyOf("/page.js"), /^default-src 'self'; connect-src 'self' https:; frame-ancestors/);
  assert.match(await policyOf("/nothing"), /^default-src 'self'; frame-ancestors 'none';/);
});

tests("have an ETag of their content, and are not sent to who has them", async () => {
  await start();
  const { head } = await get("/page.js");
  const [, etag] = /\r\nETag: ("[\w-]{22}")/.exec(head)!;
  for (const header of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
    const { head, body } = await get("/page.js", `If-None-Match: ${header}`);
    assert.match(head, /^HTTP\/1\.1 304 Not Modified\r\n/, header);
    assert.match(head, new RegExp(`\r\nETag: ${etag}`));
    assert.is(body, "");
  }
  assert.match((await get("/page.js", 'If-None-Match: "x"')).head, /^HTTP\/1\.1 200 /);
  await running!.close();
  await writeFile(`${folder}/page.js`, `${script}// a new version`);
  await start();
  const after = await get("/page.js", `If-None-Match: ${etag}`);
  assert.match(after.head, /^HTTP\/1\.1 200 /, "after an upgrade the browser gets the new one");
  assert.match(after.body, /a new version$/);
});

tests("are compressed for who takes it, each coding with an ETag of its own", async () => {
  const { url } = await start();
  const raw = async (accept: string) => {
    const { head } = await get("/page.js", `Accept-Encoding: ${accept}`);
    assert.match(head, /\r\nVary: Accept-Encoding/);
    const [, coding] = /\r\nContent-Encoding: (\w+)/.exec(head) ?? [];
    const [, length] = /\r\nContent-Length: (\d+)/.exec(head)!;
    const [, etag] = /\r\nETag: (\S+)/.exec(head)!;
    return { coding, length: Number(length), etag };
  };
  assert.is((await raw("gzip, deflate, br")).coding, "br");
  assert.is((await raw("GZIP;q=0.5, br;q=0")).coding, "gzip");
  assert.is((await raw("identity")).coding, undefined);
  assert.is((await raw("gzip;q=0.0")).coding, undefined);
  const all = await Promise.all(["br", "gzip", ""].map(raw));
  assert.is(new Set(all.map(({ etag }) => etag)).size, 3);
  assert.ok(all[0]!.length < script.length / 10 && all[1]!.length < script.length / 10);
  for (const coding of ["br", "gzip"]) {
    const response = await fetch(new URL("/page.js", url), { headers: { "Accept-Encoding": coding } });
    assert.is(response.headers.get("content-encoding"), coding);
    assert.is(await response.text(), script);
  }
  assert.not.match(
    (await get("/js/nbd.js", "Accept-Encoding: br")).head,
    /Content-Encoding/,
    "too short to gain",
  );
});

tests("stay as they were when the gateway started", async () => {
  await start();
  await rm(folder, { recursive: true });
  assert.is((await get("/page.js")).body, script);
  assert.is((await get("/")).body, "the page");
});

tests("leave out what is hidden, and follow links to files", async () => {
  await writeFile(`${folder}/.hidden`, "secret");
  await symlink(`${folder}/page.js`, `${folder}/linked.js`);
  await start();
  assert.match((await get("/.hidden")).head, /^HTTP\/1\.1 404 /);
  assert.is((await get("/linked.js")).body, script);
});

tests("are few: a folder that is large, or is not there, is refused in words", async () => {
  const refused = async () => {
    try {
      await start();
    } catch (error) {
      return (error as Error).message.replaceAll(folder, "FOLDER");
    }
    return "nothing";
  };
  const limit =
    "reading the page in FOLDER: it holds more than 1000 files or 16 MiB, and a page is kept in memory";
  await writeFile(`${folder}/large`, new Uint8Array(16 << 20));
  assert.is(await refused(), limit);
  await rm(`${folder}/large`);
  for (let i = 0; i < 998; i++) await writeFile(`${folder}/${i}`, "");
  assert.is(await refused(), limit);
  await rm(folder, { recursive: true });
  assert.is(await refused(), "reading the page in FOLDER: there is no such file");
});

tests.run();
