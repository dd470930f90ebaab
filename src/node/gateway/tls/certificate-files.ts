import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { checkAmount, checkObject, checkType, LONGEST_TIMER } from "../../../streams/check.ts";
import { messageOf } from "../../../streams/message-of.ts";
import { readTrustedText } from "../../config/trusted-text.ts";
import type { Log } from "../../log/log.ts";
import { reasonOf } from "../../system-error.ts";
import { type Certificate, checkedCertificate, day, warningOf } from "./certificate.ts";
import { type Certificates, WARNING_INTERVAL } from "./certificates.ts";

/** Milliseconds between two looks at the files. */
const LOOK_INTERVAL = 5_000;

const OTHERS_MAY = 0o027;

export interface CertificateFilesOptions {
  /** Paths of PEM files. */
  certFile: string;
  keyFile: string;
  /** Takes a line for people. */
  log: Log;
  /** Milliseconds between two looks. Default 5,000. */
  lookInterval?: number;
  /** Milliseconds since 1970. */
  now?(): number;
}

/**
 * A certificate and its key from files, read again when these have changed: first seen in one look, and unchanged in the
 * next, as two files are not replaced at once.
 *
 * @throws Error in words when the files cannot be used
 */
export async function certificateFiles(options: CertificateFilesOptions): Promise<Certificates> {
  checkObject(options, "the options");
  const { certFile, keyFile, log, lookInterval = LOOK_INTERVAL, now = Date.now } = options;
  checkType(certFile, "certFile", "string");
  checkType(keyFile, "keyFile", "string");
  checkType(log, "log", "function");
  checkAmount(lookInterval, "lookInterval, in milliseconds,", 1, LONGEST_TIMER);
  const files = [certFile, keyFile];
  let isClosed = false;
  let warned = Number.NEGATIVE_INFINITY;
  /** What the files were when they were read, and at the last look. */
  let seen = await stateOf(files);
  let last = seen;
  let current = await read(certFile, keyFile, now());
  warn();

  function warn() {
    const warning = warningOf(current, now());
    if (!warning || now() - warned < WARNING_INTERVAL) return;
    warned = now();
    log(`the certificate in ${certFile} ${warning}`, "warning");
  }

  async function renew() {
    seen = last = await stateOf(files);
    try {
      const renewed = await read(certFile, keyFile, now());
      if (isClosed || (renewed.cert === current.cert && renewed.key === current.key)) return;
      current = renewed;
      warned = Number.NEGATIVE_INFINITY;
      certificates.onrenewed?.(renewed);
      log(`took the new certificate in ${certFile}, which ends on ${day(renewed.end)}`);
    } catch (error) {
      if (!isClosed) log(`keeps the old certificate: ${messageOf(error)}`, "error");
    }
  }

  async function check() {
    const found = await stateOf(files);
    const isSettled = found === last;
    last = found;
    if (found !== seen && isSettled) await renew();
    warn();
  }

  let work: Promise<void> = Promise.resolve();
  // One after the other: an earlier reading is not to win over a later one.
  const next = (job: () => Promise<void>) => {
    work = work.then(() => (isClosed ? undefined : job()));
    return work;
  };
  const timer = setInterval(() => void next(check), lookInterval);
  timer.unref();

  const certificates: Certificates = {
    get current() {
      return current;
    },
    onrenewed: undefined,
    look: () => next(renew),
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
  return certificates;
}

/** A text that is another one when a file has been replaced or written. */
async function stateOf(files: readonly string[]): Promise<string> {
  const each = files.map((file) =>
    stat(file, { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(),
      (error) => String(error.code),
    ),
  );
  return (await Promise.all(each)).join(" ");
}

async function read(certFile: string, keyFile: string, now: number): Promise<Certificate> {
  const cert = await readFile("certificate", certFile);
  const key = await readFile("key", keyFile, judgeKey);
  try {
    return checkedCertificate(cert, key, now);
  } catch (error) {
    throw new Error(`the certificate ${certFile} with the key ${keyFile}: ${messageOf(error)}`);
  }
}

async function readFile(what: string, file: string, judge?: (stats: Stats) => void): Promise<string> {
  try {
    return await readTrustedText(file, judge);
  } catch (error) {
    throw new Error(`reading the ${what} ${file}: ${reasonOf(error)}`);
  }
}

/** A group may read it, as Debian's "ssl-cert". */
function judgeKey({ mode }: Stats): void {
  if (process.platform === "win32" || (mode & OTHERS_MAY) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  throw new Error(`it is a secret, and its mode ${octal} lets others in; "chmod 0600" mends that`);
}
