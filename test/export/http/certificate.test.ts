import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import type { HttpError } from "../../../src/export/http/http-error.ts";
import { httpExport } from "../../../src/export/http.ts";
import { failure } from "../../bytes.ts";
import { pairOf } from "../../certificates.ts";
import { root, Sandbox, suite } from "../../harness.ts";
import { HastyClock } from "./hasty-clock.ts";
import { WebServer } from "./web-server.ts";

const tests = suite("http export over TLS");

tests("a certificate that is not trusted: what is wrong with it, at once", async () => {
  const server = await WebServer.start(pairOf(["127.0.0.1"]));
  try {
    const notes: string[] = [];
    const opening = httpExport(server.url, { onnote: (line) => notes.push(line) });
    const error = (await failure(opening)) as HttpError;
    assert.is(error.code, "certificate", String(error));
    assert.match(error.message, /the server's certificate is signed by itself; have its authority trusted/);
    assert.is(error.mayPass, false);
    assert.equal(notes, []);
    assert.is(server.asked.length, 0);
  } finally {
    await server.close();
  }
});

tests("one that is trusted, and is for another name", async () => {
  const sandbox = new Sandbox();
  const pair = pairOf(["other.example"]);
  const server = await WebServer.start(pair);
  try {
    writeFileSync(sandbox.path("cert.pem"), pair.cert);
    const script = `
      import { httpExport } from ${JSON.stringify(`${root}src/export/http.ts`)};
      await httpExport(${JSON.stringify(server.url)}).catch((error) => console.log(error.code, error.message));`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "--eval", script],
      { cwd: root, env: { ...process.env, NODE_EXTRA_CA_CERTS: sandbox.path("cert.pem") } },
    );
    assert.match(
      stdout,
      /^certificate .*the server's certificate is for "DNS:other\.example", not for "127\.0\.0\.1"/,
    );
  } finally {
    await server.close();
    await sandbox.end();
  }
});

tests("a server that speaks the other protocol", async () => {
  const server = await WebServer.start();
  const secure = await WebServer.start(pairOf(["127.0.0.1"]));
  try {
    for (const [url, words] of [
      [server.url.replace("http:", "https:"), /does not speak TLS there; use http:\/\/$/],
      [
        secure.url.replace("https:", "http:"),
        /closed the connection without an answer; if it speaks TLS, use https:\/\/$/,
      ],
    ] as const) {
      const error = (await failure(httpExport(url, { clock: new HastyClock() }))) as HttpError;
      assert.is(error.code, "unreachable");
      assert.match(error.message, words);
    }
  } finally {
    await server.close();
    await secure.close();
  }
});

tests.run();
