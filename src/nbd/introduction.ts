/**
 * What a gateway and a server tell each other about a medium and about themselves, so that a disk can go on over a new link.
 * It travels as metadata contexts of a namespace of our own, which are listed only for who asks for them by their exact form.
 */
import { fromBase64url, toBase64url } from "../streams/base64url.ts";
import { MAX_STRING } from "./constants.ts";
import { ProtocolError } from "./error.ts";
import { isWord } from "./word.ts";

/** What the gateway tells first. */
export interface GatewayIntroduction {
  /** A word, new for each link: the server proves with it that it has a key. */
  challenge: string;
  /** A word of the gateway's own, the same as long as it runs. Samples are made with it. */
  nonce: string;
  /** Seconds for which the gateway waits for a lost link. */
  wait: number;
}

/** What the server tells of the medium and of itself. */
export interface Introduction {
  /** The medium's name. What is longer than 255 characters is cut. */
  name: string;
  /** Bytes of the medium. */
  size: number;
  /** When the medium was last changed, in milliseconds since 1970, if it is known. */
  modified: number | undefined;
  /** See `sampled`. */
  samples: Uint8Array;
  /** Changes when writes may be lost that were acknowledged and not flushed: 1 to 64 characters of base64url. */
  incarnation: string;
  /** The proof of the key that the server keeps for this gateway; see `proofOf`. Undefined without a key. */
  proof: string | undefined;
  /** Words for people: how the medium was changed since the server first served it. Undefined: it was not. Cut like the name. */
  changed: string | undefined;
}

/** All that is ours begins with it. */
export const NAMESPACE = "nbd-proxy:";

const VERSION = 1;
const INTRODUCE = `${NAMESPACE}introduce=${VERSION},`;
const INTRODUCED = `${NAMESPACE}introduced=`;

/** The query by which a gateway gives a key to keep begins with it; the key follows. */
export const KEY = `${NAMESPACE}key=`;

/** The context that says that a key is kept. */
export const KEY_KEPT = `${KEY}kept`;

/** The longest that a gateway can say that it waits, in seconds. */
export const LONGEST_WAIT = 0x7fffffff;

/** Characters of words for people. With all of them escaped, a whole introduction is shorter than MAX_STRING. */
const MAX_WORDS = 255;

/** The most bytes of samples. */
const MAX_SAMPLES = 256;

/** The query by which a gateway introduces itself. */
export function introduceQuery({ challenge, nonce, wait }: GatewayIntroduction): string {
  return `${INTRODUCE}${challenge},${nonce},${wait}`;
}

/** The introduction in a query. Undefined if the query is another one, of another version, or malformed. */
export function readIntroduceQuery(query: string): GatewayIntroduction | undefined {
  if (!query.startsWith(INTRODUCE)) return undefined;
  const [challenge, nonce, wait, ...rest] = query.slice(INTRODUCE.length).split(",");
  if (!isWord(challenge) || !isWord(nonce) || !/^(0|[1-9]\d{0,9})$/.test(wait ?? "")) return undefined;
  const seconds = Number(wait);
  return rest.length === 0 && seconds <= LONGEST_WAIT ? { challenge, nonce, wait: seconds } : undefined;
}

/** The query by which a gateway gives a key to keep. */
export function keyQuery(key: string): string {
  return KEY + key;
}

/** The key in a query. Undefined if the query is another one, or malformed. */
export function readKeyQuery(query: string): string | undefined {
  const key = query.startsWith(KEY) ? query.slice(KEY.length) : undefined;
  return isWord(key) ? key : undefined;
}

/** The name of the context by which a server introduces itself. */
export function introducedContext(introduction: Introduction): string {
  const { name, size, modified, samples, incarnation, proof, changed } = introduction;
  const told = {
    version: VERSION,
    name: cut(name),
    size,
    modified: modified === undefined ? null : Math.floor(modified),
    samples: toBase64url(samples),
    incarnation,
    proof,
    changed: changed === undefined ? undefined : cut(changed),
  };
  return INTRODUCED + JSON.stringify(told);
}

/**
 * The introduction in the name of a context.
 * @throws ProtocolError if it is none, or has something in it that an introduction cannot have
 */
export function readIntroducedContext(context: string): Introduction {
  if (!context.startsWith(INTRODUCED) || context.length > MAX_STRING) throw malformed("it is none");
  const told = parsed(context.slice(INTRODUCED.length));
  const { version, name, size, modified, samples, incarnation, proof, changed } = told;
  if (version !== VERSION) throw malformed(`its version is not ${VERSION}`);
  if (!isWords(name)) throw malformed("its name is none");
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw malformed("its size is none");
  if (modified !== null && !Number.isSafeInteger(modified)) throw malformed("its time is none");
  const bytes = typeof samples === "string" ? fromBase64url(samples) : undefined;
  if (!bytes || bytes.byteLength > MAX_SAMPLES || bytes.byteLength % 8 !== 0) {
    throw malformed("its samples are none");
  }
  if (typeof incarnation !== "string" || !/^[\w-]{1,64}$/.test(incarnation)) {
    throw malformed("its incarnation is none");
  }
  if (proof !== undefined && !(typeof proof === "string" && fromBase64url(proof)?.byteLength === 32)) {
    throw malformed("its proof is none");
  }
  if (changed !== undefined && !isWords(changed)) throw malformed("its words about a change are none");
  return {
    name,
    size: size as number,
    modified: modified === null ? undefined : (modified as number),
    samples: bytes,
    incarnation,
    proof: proof as string | undefined,
    changed,
  };
}

/** Words for people, cut between two characters. */
function cut(words: string): string {
  return [...words.slice(0, 2 * MAX_WORDS)].slice(0, MAX_WORDS).join("");
}

function isWords(value: unknown): value is string {
  return typeof value === "string" && value === cut(value);
}

function parsed(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw malformed("it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw malformed("it is not an object");
  return value as Record<string, unknown>;
}

function malformed(why: string): ProtocolError {
  return new ProtocolError(`the server sent an introduction that makes no sense: ${why}`);
}
