/** The gateway's certificates: which are taken, when they are read again, and those that it makes. */
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import * as assert from "uvu/assert";
import { checkedCertificate, warningOf } from "../../../src/node/gateway/tls/certificate.ts";
import { certificateFiles } from "../../../src/node/gateway/tls/certificate-files.ts";
import type { Certificates } from "../../../src/node/gateway/tls/certificates.ts";
import { chooseCertificates, tlsKeys } from "../../../src/node/gateway/tls/choose-certificates.ts";
import { selfSigned } from "../../../src/node/gateway/tls/self-signed.ts";
import { failure } from "../../bytes.ts";
import { pairOf, writePair } from "../../certificates.ts";
import { Sandbox, suite, until } from "../../harness.ts";

const tests = suite("certificates");
const DAY = 24 * 60 * 60 * 1000;

let sandbox: Sandbox;
let log: string[];
const open: Certificates[] = [];
const note = (line: string) => void log.push(line);

tests.before.each(() => {
  sandbox = new Sandbox();
  log = [];
});

tests.after.each(async () => {
  for (const certificates of open.splice(0)) certificates.close();
  await sandbox.end();
});

/** Opens certificates that the test's end closes. */
async function opened(certificates: Promise<Certificates>): Promise<Certificates> {
  open.push(await certificates);
  return await certificates;
}

tests("a certificate with its key is taken, with what it is for", () => {
  const { cert, key } = pairOf(["Console.example", "*.example.org", "10.0.0.1", "::1"]);
  const certificate = checkedCertificate(cert, key, Date.now());
  assert.equal(certificate.names, ["console.example", "*.example.org"]);
  assert.equal(certificate.addresses, ["10.0.0.1", "::1"]);
  assert.is(certificate.fingerprint, new X509Certificate(cert).fingerprint256);
  assert.ok(certificate.isSelfSigned);
  assert.ok(Math.abs(certificate.end - Date.now() - 90 * DAY) < 10_000);
});

const good = pairOf(["localhost"]);
const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
const locked = { type: "pkcs8", format: "pem", cipher: "aes256", passphrase: "secret" } as const;

const refused: [string, string, string, RegExp][] = [
  ["another's key", good.cert, pairOf(["localhost"]).key, /the key does not belong to the certificate/],
  ["no certificate", "hello", good.key, /there is no certificate in PEM/],
  ["a key in its place", good.key, good.key, /there is no certificate in PEM/],
  ["a damaged certificate", good.cert.replace(/\n.{20}/, "\nAAAA"), good.key, /certificate is damaged/],
  ["no key", good.cert, good.cert, /there is no private key in PEM/],
  ["a damaged key", good.cert, good.key.replace(/\n.{20}/, "\nAAAA"), /private key is damaged/],
  ["a key of another kind", good.cert, rsa.export({ type: "pkcs1", format: "pem" }) as string, /not belong/],
  ["a key with a passphrase", good.cert, rsa.export(locked) as string, /has a passphrase/],
];

for (const [what, cert, key, words] of refused) {
  tests(`refuses ${what}, and says so`, async () => {
    const error = await failure((async () => checkedCertificate(cert, key, Date.now()))());
    assert.match(error.message, words);
    assert.not.match(error.message, /MHcC|MIG|secret/);
  });
}

tests("refuses what has ended, or not begun; warns of what ends soon", async () => {
  const at = (days: number) => Date.now() + days * DAY;
  const check = async (days: number) => checkedCertificate(good.cert, good.key, at(days));
  assert.match((await failure(check(91))).message, /has ended on \d{4}-\d\d-\d\d; renew it/);
  assert.match((await failure(check(-2))).message, /is valid from .* only; is the clock/);
  const certificate = await check(0);
  assert.is(warningOf(certificate, at(75)), undefined);
  assert.match(warningOf(certificate, at(77))!, /^ends on \d{4}-\d\d-\d\d; renew it before$/);
  assert.match(warningOf(certificate, at(91))!, /^has ended on/);
});

for (const mode of [0o604, 0o620, 0o602, 0o644, 0o666]) {
  tests(`refuses a key of mode ${mode.toString(8)}`, async () => {
    const pair = writePair(sandbox, "a", ["localhost"]);
    chmodSync(pair.keyFile, mode);
    const error = await failure(opened(certificateFiles({ ...pair, log: note })));
    assert.match(error.message, /^reading the key .*a-key.pem: .*(lets others in|can be written by)/);
  });
}

tests("says which file is missing; a group may read the key", async () => {
  const pair = writePair(sandbox, "a", ["localhost"]);
  chmodSync(pair.keyFile, 0o640);
  await opened(certificateFiles({ ...pair, log: note }));
  const error = await failure(certificateFiles({ ...pair, certFile: "/nowhere/cert.pem", log: note }));
  assert.is(error.message, "reading the certificate /nowhere/cert.pem: there is no such file");
});

tests(
  "files that change are read again, also through a link that is exchanged, as certbot does it",
  async () => {
    const [first, second] = [1, 2].map((n) => writePair(sandbox, `${n}`, [`n${n}.example`]));
    const link = (n: number) => {
      for (const what of ["cert", "key"]) {
        symlinkSync(sandbox.path(`${n}-${what}.pem`), sandbox.path("link"));
        renameSync(sandbox.path("link"), sandbox.path(`${what}.pem`));
      }
    };
    link(1);
    const files = { certFile: sandbox.path("cert.pem"), keyFile: sandbox.path("key.pem") };
    const certificates = await opened(certificateFiles({ ...files, log: note, lookInterval: 20 }));
    const renewed: string[] = [];
    certificates.onrenewed = ({ cert }) => renewed.push(cert);
    assert.is(certificates.current.cert, first!.cert);
    link(2);
    await until("the new one", () => renewed.length > 0);
    assert.is(certificates.current.cert, second!.cert);
    assert.equal(renewed, [second!.cert]);
    assert.match(log.join("\n"), /^took the new certificate in .*, which ends on \d{4}-\d\d-\d\d$/);
  },
);

tests("a bad new pair is told once, and the old one stays; the next good one is taken", async () => {
  const pair = writePair(sandbox, "a", ["localhost"]);
  const certificates = await opened(certificateFiles({ ...pair, log: note, lookInterval: 20 }));
  const next = pairOf(["localhost"]);
  writeFileSync(pair.certFile, next.cert);
  await until("a line", () => log.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(log.length, 1);
  assert.match(log[0]!, /^keeps the old certificate: .*the key does not belong to the certificate$/);
  assert.is(certificates.current.cert, pair.cert);
  writeFileSync(pair.keyFile, next.key);
  await until("the new one", () => certificates.current.cert === next.cert);
});

tests("what ends soon is warned of at the start, and once a day", async () => {
  const pair = writePair(sandbox, "a", ["localhost"], 3);
  let time = Date.now();
  await opened(certificateFiles({ ...pair, log: note, lookInterval: 5, now: () => time }));
  assert.is(log.length, 1);
  assert.match(log[0]!, /^the certificate in .* ends on \d{4}-\d\d-\d\d; renew it before$/);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(log.length, 1);
  time += DAY + 1000;
  await until("another line", () => log.length === 2);
});

tests(
  "a certificate of one's own is made once, for this machine and the host, and kept for its owner alone",
  async () => {
    const folder = sandbox.path("state");
    const options = { folder, host: "10.9.0.1", log: note };
    const { current } = await opened(selfSigned(options));
    const certificate = new X509Certificate(current.cert);
    assert.is(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.ok(certificate.verify(certificate.publicKey) && !certificate.ca);
    for (const name of ["localhost", hostname()]) assert.ok(certificate.checkHost(name), name);
    for (const address of ["127.0.0.1", "::1", "10.9.0.1"]) assert.ok(certificate.checkIP(address), address);
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / DAY;
    assert.ok(days <= 825, `${days} days`);
    assert.equal(readdirSync(folder), ["self-signed.pem"]);
    assert.is(statSync(`${folder}/self-signed.pem`).mode & 0o777, 0o600);
    assert.is(statSync(folder).mode & 0o777, 0o700);
    const again = await opened(selfSigned(options));
    assert.is(again.current.fingerprint, current.fingerprint);
    assert.equal(log, []);
  },
);

tests("it is made anew for another host, with the names of before", async () => {
  const folder = sandbox.path("state");
  const first = await opened(selfSigned({ folder, host: "10.9.0.1", log: note }));
  const second = await opened(selfSigned({ folder, host: "gateway.example", log: note }));
  assert.is.not(second.current.fingerprint, first.current.fingerprint);
  assert.ok(second.current.addresses.includes("10.9.0.1"));
  assert.ok(second.current.names.includes("gateway.example"));
  assert.match(log.join("\n"), /^makes a new certificate, as the one in .* is not for gateway.example$/);
  const third = await opened(selfSigned({ folder, host: "10.9.0.1", log: note }));
  assert.is(third.current.fingerprint, second.current.fingerprint);
});

tests("it is made anew before it ends, while the gateway runs", async () => {
  let time = Date.now();
  const folder = sandbox.path("state");
  const host = "127.0.0.1";
  const certificates = await opened(
    selfSigned({ folder, host, log: note, lookInterval: 5, now: () => time }),
  );
  const { fingerprint, end } = certificates.current;
  const renewed: string[] = [];
  certificates.onrenewed = (one) => renewed.push(one.fingerprint);
  time = end - 31 * DAY;
  await certificates.look();
  assert.equal(renewed, []);
  time = end - 29 * DAY;
  await until("the new one", () => renewed.length > 0);
  assert.is.not(certificates.current.fingerprint, fingerprint);
  assert.equal(renewed, [certificates.current.fingerprint]);
  assert.match(
    log.join("\n"),
    /makes a new certificate, as the one in .* ends on .*\nshows a new .* SHA-256 ([\dA-F]{2}:){31}/,
  );
});

tests("one that is damaged is made anew; one that others can read is refused", async () => {
  const folder = sandbox.path("state");
  const options = { folder, host: "127.0.0.1", log: note };
  await opened(selfSigned(options));
  const file = `${folder}/self-signed.pem`;
  writeFileSync(file, readFileSync(file, "latin1").slice(0, 300));
  await opened(selfSigned(options));
  assert.match(log[0]!, /^makes a new certificate, as the one in .* cannot be used: /);
  chmodSync(file, 0o644);
  assert.match(
    (await failure(selfSigned(options))).message,
    /self-signed.pem: others can use it; "chmod 600/,
  );
});

tests("flags win over the file as a whole; halves and both ways at once are refused", async () => {
  const file = { "tls-cert": "a", "tls-key": "b" };
  assert.equal(tlsKeys({}, file), file);
  assert.equal(tlsKeys({ "tls-self-signed": true }, file), { "tls-self-signed": true });
  const options = { host: "127.0.0.1", tokenFile: sandbox.path("state/token"), log: note };
  assert.is(await chooseCertificates({}, options), undefined);
  const half = await failure(chooseCertificates({ "tls-cert": "a" }, options));
  assert.is(half.message, "tls-cert needs tls-key beside it");
  const both = await failure(chooseCertificates({ ...file, "tls-self-signed": true }, options));
  assert.match(both.message, /either tls-cert and tls-key, or tls-self-signed/);
  await opened(chooseCertificates({ "tls-self-signed": true }, options) as Promise<Certificates>);
  assert.equal(readdirSync(sandbox.path("state")), ["self-signed.pem"]);
});

tests.run();
