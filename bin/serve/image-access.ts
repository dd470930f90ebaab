import { readPrivateFile } from "../../src/node/login/private-file.ts";
import { isLoopbackUrl } from "../../src/node/loopback.ts";
import { reasonOf } from "../../src/node/system-error.ts";
import { checkTrust } from "../../src/node/tls-connection.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import { shownUrl } from "../../src/transport/shown-url.ts";
import { firstLine } from "../first-line.ts";
import { readCertificates } from "../remote.ts";
import { askPassword } from "./ask-password.ts";
import type { ImageValues } from "./image-arguments.ts";

/** Where a file on a web server is, and what is needed to read it. Nothing of it may be shown but `shownUrl(url)`. */
export interface ImageAccess {
  /** User and password are in it. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Certificates of authorities, in PEM. */
  readonly ca: string | undefined;
}

/** Characters of the longest password that is read. */
const LONGEST_PASSWORD = 4096;

/** A header as people write it. */
const HEADER = /^([!#$%&'*+.^_`|~\da-z-]+):[ \t]*(.*)$/is;

/** Headers that each request has of its own. */
const OURS: ReadonlySet<string> = new Set(["range", "if-range", "accept-encoding"]);

/**
 * Reads what the arguments say about an image at a URL; asks for the password on the terminal, if it is nowhere.
 * @param warn takes a line for people
 * @throws Error in words, without secrets
 */
export async function imageAccess(
  image: string,
  values: ImageValues,
  warn: (line: string) => void,
): Promise<ImageAccess> {
  const shown = shownUrl(image);
  if (!URL.canParse(image)) throw new Error(`"${shown}" is not a valid URL`);
  const url = new URL(image);
  const headers = headersOf(values.header ?? []);
  const ca = values["image-ca"];
  if (ca !== undefined && url.protocol !== "https:") throw new Error("--image-ca is for an https URL");
  const pem = ca === undefined ? undefined : await certificatesIn(ca);
  await logInto(url, values, headers);
  const isSecret =
    url.password !== "" || Object.keys(headers).some((name) => /^(authorization|cookie)$/i.test(name));
  if (isSecret && url.protocol === "http:" && !isLoopbackUrl(url)) {
    warn(`${shown}: with http, others on the way can read the password, and change the image; use https`);
  }
  return { url, headers, ca: pem };
}

/** Puts user and password into a URL, if there are any. */
async function logInto(url: URL, values: ImageValues, headers: Readonly<Record<string, string>>) {
  const { user, "password-file": file } = values;
  if (user === undefined && file === undefined) return;
  if (Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) {
    throw new Error("--user and a header Authorization do not go together");
  }
  if (user === undefined && url.username === "") throw new Error("--password-file needs --user NAME");
  if (url.password !== "" || (user !== undefined && url.username !== "")) {
    throw new Error(`${shownUrl(url)}: the URL has a user already; leave --user and --password-file out`);
  }
  if (user !== undefined) {
    if (user === "" || user.includes(":"))
      throw new Error("--user: a name that is empty, or has a colon, cannot be sent");
    url.username = encodeURIComponent(user);
  }
  const password =
    file === undefined ? await askPassword(`password of ${user} at ${url.host}: `) : await passwordIn(file);
  if (password === "") throw new Error("the password is empty");
  url.password = encodeURIComponent(password);
}

function headersOf(lines: readonly string[]): Record<string, string> {
  const headers = new Map<string, [string, string]>();
  for (const line of lines) {
    // What is no header may be a secret all the same, and is not shown.
    const [, name, value] = HEADER.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Error("--header: it is not like 'Name: value'");
    const key = name.toLowerCase();
    if (OURS.has(key)) throw new Error(`--header: nbd-serve sets ${name} itself`);
    if (headers.has(key)) throw new Error(`--header: ${name} is there twice`);
    headers.set(key, [name, value]);
  }
  return Object.fromEntries(headers.values());
}

/** The first line of a private file, or with "-" of standard input. */
async function passwordIn(file: string): Promise<string> {
  try {
    const line =
      file === "-"
        ? await firstLine(process.stdin, LONGEST_PASSWORD)
        : readPrivateFile(file, LONGEST_PASSWORD).toString("latin1").split("\n", 1)[0]!;
    return Buffer.from(line.replace(/\r$/, ""), "latin1").toString("utf8");
  } catch (error) {
    const where = file === "-" ? "standard input" : file;
    throw new Error(
      `reading the password from ${where}: ${file === "-" ? messageOf(error) : reasonOf(error)}`,
    );
  }
}

async function certificatesIn(file: string): Promise<string> {
  const pem = (await readCertificates(file)).toString("latin1");
  try {
    checkTrust({ ca: pem }, "https:");
  } catch {
    throw new Error(`--image-ca ${file}: there is no certificate in PEM in it`);
  }
  return pem;
}
