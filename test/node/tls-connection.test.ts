import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/node/connect.ts";
import { fingerprintOf, parseFingerprint } from "../../src/node/fingerprint.ts";
import { type LogInOptions, logIn } from "../../src/node/login/log-in.ts";
import { failure } from "../bytes.ts";
import { needing, within } from "../harness.ts";
import { StandInGateway } from "../stand-in-gateway.ts";

interface Context {
  folder: string;
  /** For 127.0.0.1, and for another name only; both signed by themselves. */
  own: { key: Buffer; cert: Buffer };
  other: { key: Buffer; cert: Buffer };
}

const tests = suite<Context>("TLS to a gateway");

/** Makes a certificate that is signed by itself. */
function certificate(folder: string, name: string, alternative: string) {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const files = ["-keyout", key, "-out", cert, "-days", "2"];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${alternative}`];
  execFileSync("openssl", [...kind, ...files, ...names], { stdio: "ignore" });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

tests.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "nbd-proxy-test-"));
  try {
    context.own = certificate(context.folder, "own", "IP:127.0.0.1");
    context.other = certificate(context.folder, "other", "DNS:other.example");
  } catch {
    // The tests are skipped.
  }
});
tests.after(({ folder }) => rmSync(folder, { recursive: true, force: true }));

const test = needing(tests, ["openssl"]);

async function withGateway(tls: Context["own"], run: (gateway: StandInGateway) => Promise<void>) {
  const gateway = await new StandInGateway({ tls, use: (socket) => socket.close() }).listen();
  try {
    await within(20_000, "the test", run(gateway));
  } finally {
    gateway.close();
  }
}

const pinOf = ({ cert }: { cert: Buffer }) => fingerprintOf(new X509Certificate(cert));

/** Logs in, opens the WebSocket, and logs out. */
async function goThrough(gateway: StandInGateway, trust: Omit<LogInOptions, "token">) {
  const { endpoint, session, logOut } = await logIn(`${gateway.url}#${gateway.token}`, trust);
  assert.ok(endpoint.startsWith("wss://"));
  await connect(endpoint, { token: session, ...trust }).closed;
  await logOut();
  assert.equal(
    gateway.came.map(({ method, url }) => `${method} ${url}`),
    ["POST /login", "POST /login", "GET /", "POST /logout"],
  );
}

test("the certificate with the fingerprint is believed, whatever its name", ({ other }) =>
  withGateway(other, (gateway) => goThrough(gateway, { fingerprint: pinOf(other) })));

test("an authority that was named is believed for its names", ({ own }) =>
  withGateway(own, (gateway) => goThrough(gateway, { ca: own.cert })));

test("another certificate than the one with the fingerprint: not a byte of HTTP is sent, and both are named", ({
  own,
  other,
}) =>
  withGateway(own, async (gateway) => {
    const fingerprint = pinOf(other);
    const words = `its certificate has the fingerprint ${pinOf(own)}, and not ${fingerprint}`;
    const { message } = await failure(logIn(`${gateway.url}#${gateway.token}`, { fingerprint }));
    assert.ok(message.startsWith(`logging in at ${gateway.url}: ${words}; `), message);
    const transport = connect(gateway.url.replace("https", "wss"), { token: gateway.session, fingerprint });
    const error = await failure(transport.closed);
    assert.ok(error.message.startsWith(`${words}; `), error.message);
    assert.is(gateway.received, 0);
  }));

for (const [what, which, trust, words] of [
  [
    "that is signed by itself",
    "own",
    () => ({}),
    /the server's certificate is signed by itself; say .*--fingerprint .*--ca/,
  ],
  [
    "of another authority",
    "own",
    ({ other }: Context) => ({ ca: other.cert }),
    /the server's certificate is signed by itself; say /,
  ],
  [
    "for another name",
    "other",
    ({ other }: Context) => ({ ca: other.cert }),
    /the server's certificate is for "DNS:other.example", not for "127.0.0.1"; say /,
  ],
  [
    "with the fingerprint, of another authority",
    "own",
    ({ own, other }: Context) => ({ ca: other.cert, fingerprint: pinOf(own) }),
    /the server's certificate is signed by itself/,
  ],
] as const) {
  test(`a certificate ${what} is refused in words, and not a byte of HTTP is sent`, (context) =>
    withGateway(context[which], async (gateway) => {
      const { message } = await failure(logIn(`${gateway.url}#${gateway.token}`, trust(context)));
      assert.match(message, words);
      const transport = connect(gateway.url.replace("https", "wss"), trust(context));
      assert.match((await failure(transport.closed)).message, words);
      assert.is(gateway.received, 0);
    }));
}

test("a variable of the environment does not turn the check off", ({ own }) =>
  withGateway(own, async (gateway) => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      await failure(logIn(`${gateway.url}#${gateway.token}`));
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
    assert.is(gateway.received, 0);
  }));

test("http where https is, and https where http is: the error says so", async ({ own }) => {
  await withGateway(own, async ({ url, token }) => {
    const { message } = await failure(logIn(`${url.replace("https", "http")}#${token}`));
    assert.match(message, /use https:\/\/$/);
  });
  const plain = await new StandInGateway().listen();
  const { message } = await failure(logIn(`${plain.url.replace("http", "https")}#${plain.token}`));
  plain.close();
  assert.match(message, /the server does not speak TLS there; use http:\/\/$/);
});

tests("a fingerprint is read in every form that is in use, and nothing else is taken for one", () => {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => 0xa0 + i));
  const hex = bytes.toString("hex");
  const wanted = hex.toUpperCase().match(/../g)!.join(":");
  for (const text of [
    wanted,
    wanted.toLowerCase(),
    hex,
    `sha256/${bytes.toString("base64")}`,
    `sha256 Fingerprint=${wanted}`,
    `SHA-256 ${wanted}\n`,
  ]) {
    assert.is(parseFingerprint(text), wanted, text);
  }
  const spki = `sha256//${bytes.toString("base64")}`; // of a public key, as curl has it
  for (const text of [
    "",
    hex.slice(2),
    `${hex}00`,
    wanted.replace(":", ""),
    spki,
    bytes.toString("base64"),
  ]) {
    assert.throws(() => parseFingerprint(text), /a fingerprint is the SHA-256 of a certificate/, text);
  }
});

tests("trust that cannot be used is refused before anything is connected", () => {
  const fingerprint = "00".repeat(32);
  for (const [url, trust, words] of [
    ["ws://127.0.0.1/", { fingerprint }, /are for https:\/\/ and wss:\/\/ URLs/],
    ["ws://127.0.0.1/", { insecure: true }, /are for https:\/\/ and wss:\/\/ URLs/],
    ["wss://127.0.0.1/", { fingerprint, insecure: true }, /does not go together/],
    ["wss://127.0.0.1/", { fingerprint: "00" }, /a fingerprint is/],
    ["wss://127.0.0.1/", { ca: "hello" }, /ca has no certificate in PEM/],
  ] as const) {
    assert.throws(() => connect(url, trust), words);
  }
});

tests.run();
