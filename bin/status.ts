import { connectError, refusal } from "../src/node/connect-error.ts";
import { STATUS_VERSION, type StatusDocument } from "../src/node/gateway/status/document.ts";
import type { Log } from "../src/node/log/log.ts";
import { send } from "../src/node/login/send.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { type AskOptions, askGateway, type OpenGateway } from "./ask-gateway.ts";
import { statusWords } from "./status-words.ts";

/** Milliseconds that a gateway has for its answer. */
const STATUS_TIME = 30_000;

/** Bytes of the longest answer. */
const LONGEST = 1 << 24;

/** Exit statuses of `--status`. */
const WELL = 0;
const TROUBLE = 1;
/** With it fails who cannot tell. */
export const UNKNOWN = 2;

/**
 * Prints what the disks of a gateway are at: in words, or as the gateway tells it.
 * @param url of the gateway; default: that of the configuration file, on this machine
 * @param log takes lines for people
 * @returns the exit status: 0 when all is well, 1 when a disk is lost or has failed
 * @throws Error when the gateway cannot be reached or refuses
 */
export async function printStatus(
  url: string | undefined,
  { json, ...options }: AskOptions & { json: boolean },
  log: Log,
): Promise<number> {
  const document = await askGateway(url, options, STATUS_TIME, log, statusOf);
  process.stdout.write(json ? `${JSON.stringify(document)}\n` : statusWords(document));
  const isWell = document.configurations.every(({ state, lastError }) => state !== "waiting" && !lastError);
  return isWell ? WELL : TROUBLE;
}

async function statusOf({ url, trust, signal, session }: OpenGateway): Promise<StatusDocument> {
  const doing = `the status of ${shownUrl(url)}`;
  const response = await send("GET", new URL("status", url), { trust, signal, credential: session }).catch(
    (error: Error) => {
      throw new Error(`${doing}: ${connectError(error, url.protocol).message}`);
    },
  );
  if (response.statusCode !== 200) throw new Error(`${doing}: ${(await refusal(response)).message}`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > LONGEST) throw new Error(`${doing}: the answer has more than ${LONGEST} bytes`);
  }
  return parsed(Buffer.concat(chunks).toString("utf8"), doing);
}

/** @throws Error when it is no status, or one of another version */
function parsed(text: string, doing: string): StatusDocument {
  let value: Partial<StatusDocument> | null = null;
  try {
    value = JSON.parse(text);
  } catch {
    // It is told below.
  }
  if (value?.version === STATUS_VERSION && Array.isArray(value.configurations))
    return value as StatusDocument;
  const version = typeof value?.version === "number" ? `, but one of version ${value.version}` : "";
  throw new Error(`${doing}: the answer is no status of version ${STATUS_VERSION}${version}`);
}
