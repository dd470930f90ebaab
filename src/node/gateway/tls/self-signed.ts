import { hostname } from "node:os";
import { join } from "node:path";
import { checkAmount, checkObject, checkType, LONGEST_TIMER } from "../../../streams/check.ts";
import { messageOf } from "../../../streams/message-of.ts";
import { allowedHost } from "../../host-rules.ts";
import { ipAddress } from "../../ip-address.ts";
import type { Log } from "../../log/log.ts";
import {
  makePrivateFolder,
  type PrivateFileOptions,
  readPrivateFile,
  replacePrivateFile,
} from "../../login/private-file.ts";
import { reasonOf } from "../../system-error.ts";
import { type Certificate, checkedCertificate, day } from "./certificate.ts";
import type { Certificates } from "./certificates.ts";

const DAY = 24 * 60 * 60 * 1000;

/** Days for which a certificate is valid: Apple's systems take no more than 825. */
const VALID_DAYS = 800;
/** Milliseconds before its end at which a new one is made. */
const RENEWAL_TIME = 30 * DAY;
/** A day earlier than now: the clock of a client may be behind ours. */
const EARLIER = DAY;

/** Milliseconds between two looks at when it ends. */
const LOOK_INTERVAL = 60 * 60 * 1000;

/** The most names that are taken over from an old certificate, as those of earlier addresses. */
const MOST_NAMES = 32;

/** Bytes of the longest file. */
const LONGEST = 1 << 16;

/** The file with key and certificate: one, so that they are replaced together. */
const FILE = "self-signed.pem";

export interface SelfSignedOptions {
  /** The folder that the certificate is kept in. It is made with mode 0700 where it is missing. */
  folder: string;
  /** The address or name that the gateway listens on. */
  host: string;
  /** Takes a line for people. */
  log: Log;
  /** Milliseconds between two looks at when it ends. Default one hour. */
  lookInterval?: number;
  /** Milliseconds since 1970. */
  now?(): number;
}

/**
 * A certificate that nobody else has signed, for this machine's names and addresses. It is made once, and made anew 30 days
 * before it ends, or when the host is not among its names.
 *
 * @throws Error in words when there can be none
 */
export async function selfSigned(options: SelfSignedOptions): Promise<Certificates> {
  checkObject(options, "the options");
  const { folder, host, log, lookInterval = LOOK_INTERVAL, now = Date.now } = options;
  checkType(folder, "folder", "string");
  checkType(host, "host", "string");
  checkType(log, "log", "function");
  checkAmount(lookInterval, "lookInterval, in milliseconds,", 1, LONGEST_TIMER);
  const file = join(folder, FILE);
  const names = namesFor(host);
  let isClosed = false;
  let current = (await kept()) ?? (await make([]));

  /** What is kept, if it can be used. */
  async function kept(): Promise<Certificate | undefined> {
    let text: string;
    try {
      text = readPrivateFile(file, LONGEST).toString("latin1");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new Error(`reading the certificate ${file}: ${reasonOf(error)}`);
    }
    let found: Certificate;
    try {
      found = checkedCertificate(text, text, now());
    } catch (error) {
      log(`makes a new certificate, as the one in ${file} cannot be used: ${messageOf(error)}`, "warning");
      return undefined;
    }
    const missing = names.filter((name) => ![...found.names, ...found.addresses].includes(name));
    if (missing.length > 0) {
      log(`makes a new certificate, as the one in ${file} is not for ${missing.join(", ")}`);
      return await make([...found.names, ...found.addresses]);
    }
    if (!isDue(found)) return found;
    log(`makes a new certificate, as the one in ${file} ends on ${day(found.end)}`);
    return await make([...found.names, ...found.addresses]);
  }

  async function make(earlier: readonly string[]): Promise<Certificate> {
    // Loaded only when it is used.
    const { makeCertificate } = await import("./make-certificate.ts");
    const { cert, key } = makeCertificate({
      commonName: `nbd-gateway of ${hostname()}`,
      names: [...new Set([...names, ...earlier])].slice(0, MOST_NAMES),
      begin: new Date(now() - EARLIER),
      end: new Date(now() + VALID_DAYS * DAY),
    });
    const text = cert + key;
    try {
      makePrivateFolder(file);
      replacePrivateFile(file, text, true);
    } catch (error) {
      throw new Error(`writing the certificate ${file}: ${reasonOf(error)}`);
    }
    return checkedCertificate(text, text, now());
  }

  function isDue({ end }: Certificate): boolean {
    return end - now() < RENEWAL_TIME;
  }

  async function look() {
    if (isClosed || !isDue(current)) return;
    try {
      const renewed = await kept();
      current = renewed ?? (await make([]));
      if (isClosed) return;
      certificates.onrenewed?.(current);
      log(`shows a new certificate from now on: SHA-256 ${current.fingerprint}`);
    } catch (error) {
      log(`keeps the old certificate, which ends on ${day(current.end)}: ${messageOf(error)}`, "error");
    }
  }

  let work: Promise<void> = Promise.resolve();
  const next = () => {
    work = work.then(look);
    return work;
  };
  const timer = setInterval(() => void next(), lookInterval);
  timer.unref();

  const certificates: Certificates = {
    get current() {
      return current;
    },
    onrenewed: undefined,
    look: next,
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
  return certificates;
}

/**
 * The SHA-256 fingerprint of the certificate that a gateway of this machine keeps in a folder. None is made.
 * @throws Error in words when there is none that is valid
 */
export function keptFingerprint(folder: string, options?: PrivateFileOptions): string {
  const file = join(folder, FILE);
  try {
    const text = readPrivateFile(file, LONGEST, options).toString("latin1");
    return checkedCertificate(text, text, Date.now()).fingerprint;
  } catch (error) {
    throw new Error(`reading the certificate ${file}: ${reasonOf(error)}`);
  }
}

/** The names that a certificate has to be for. Nobody connects to the address that stands for all. */
function namesFor(host: string): string[] {
  const own = [allowedHost(hostname()), ipAddress(host) ?? allowedHost(host)];
  const names = ["localhost", ...own, "127.0.0.1", "::1"].filter((name) => name !== undefined);
  return [...new Set(names)].filter((name) => name !== "0.0.0.0" && name !== "::");
}
