/**
 * Either side of the protocol against bytes that may be anything: runs it until the bytes have ended, and says how it
 * ended. Property tests and fuzz targets judge by the same rules.
 */
import { ExportError } from "../../src/export/error.ts";
import type { Export } from "../../src/export/export.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import type { RemoteExport } from "../../src/nbd/client/remote-export.ts";
import { Command, CommandFlag } from "../../src/nbd/constants.ts";
import { LinkError, ProtocolError, RefusedError } from "../../src/nbd/error.ts";
import type { NbdRequest } from "../../src/nbd/transmission.ts";
import type { Layer, Transport } from "../../src/streams/duplex.ts";
import { Ended } from "../../src/streams/ended.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../src/streams/parse.ts";
import { collectBytes, source } from "../bytes.ts";

/** What a peer's misbehaviour may end in. Everything else is a defect of ours. */
const named = [ProtocolError, RefusedError, LinkError, UnexpectedEndError, ExportError, Ended] as const;

/** The error, if it is one that says what the peer did; throws it as a defect if not. */
export function judge(error: unknown): Error {
  if (named.some((type) => error instanceof type)) return error as Error;
  throw new Error(`a peer's bytes led to ${error instanceof Error ? error.stack : String(error)}`, {
    cause: error,
  });
}

/** How many turns of the event loop a session may take to end once its input has ended. Nothing in it waits longer. */
const TURNS = 1000;

/** Fails when a promise hangs: turns are counted, not seconds, so that a busy machine changes nothing. */
export async function ending<T>(what: string, promise: Promise<T>): Promise<T> {
  let pending = true;
  const done = () => {
    pending = false;
  };
  promise.then(done, done);
  for (let turn = 0; pending; turn++) {
    if (turn === TURNS) throw new Error(`${what} hangs, although its input has ended`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return promise;
}

/** How a session has ended, and all that it said until then. */
export interface Outcome {
  said: Uint8Array;
  /** Absent: the end was in order. */
  error?: Error;
}

/** Feeds a layer the client's bytes, to their end. */
export async function serveBytes(
  layer: Layer<Uint8Array, Uint8Array>,
  chunks: Iterable<Uint8Array>,
): Promise<Outcome> {
  const said: Uint8Array[] = [];
  const heard = source(chunks).pipeTo(layer.writable);
  const spoken = layer.readable.pipeTo(
    new WritableStream<Uint8Array>({
      write(chunk) {
        said.push(chunk);
      },
    }),
  );
  const [, end] = await ending("the server", Promise.allSettled([heard, spoken]));
  const outcome: Outcome = { said: await collectBytes(source(said)) };
  if (end.status === "rejected") outcome.error = judge(end.reason);
  // How the writer's end looks is up to the layer: a client that sends on after DISC is told Ended.
  await heard.catch(judge);
  return outcome;
}

/** What is asked of a server: a request without its cookie. */
export type Operation = Pick<NbdRequest, "type" | "offset" | "length"> & Partial<Pick<NbdRequest, "flags">>;

/** Does to an export what a request asks for; what the export cannot do is left out. One entry a command. */
const operations: Readonly<
  Record<number, (target: Export, operation: Operation) => Promise<unknown> | undefined>
> = {
  [Command.READ]: async (target, { offset, length }) => {
    const payload = await target.read(offset, length);
    if (payload.byteLength !== length)
      throw new Error(`a read of ${length} bytes gave ${payload.byteLength}`);
  },
  [Command.WRITE]: (target, { offset, length, flags = 0 }) =>
    target.write?.(offset, new Uint8Array(length).fill(0x77), { fua: (flags & CommandFlag.FUA) !== 0 }),
  [Command.FLUSH]: (target) => target.flush?.(),
  [Command.TRIM]: (target, { offset, length }) => target.trim?.(offset, length),
  [Command.WRITE_ZEROES]: (target, { offset, length, flags = 0 }) =>
    target.writeZeroes?.(offset, length, {
      noHole: (flags & CommandFlag.NO_HOLE) !== 0,
      fast: (flags & CommandFlag.FAST_ZERO) !== 0,
    }),
  [Command.CACHE]: (target, { offset, length }) => target.cache?.(offset, length),
  [Command.BLOCK_STATUS]: (target, { offset, length }) => target.extents?.(offset, length),
};

/** Does one operation; its failure must be an errno. */
export async function perform(target: Export, operation: Operation): Promise<Error | undefined> {
  if (operation.offset + operation.length > target.size) return undefined;
  try {
    await operations[operation.type]?.(target, operation);
    return undefined;
  } catch (error) {
    if (error instanceof ExportError) return error;
    return judge(error);
  }
}

/** Has a client do some operations one after the other, then close the export. */
export async function useRemote(
  remote: RemoteExport,
  script: readonly Operation[],
): Promise<Error | undefined> {
  let failure: Error | undefined;
  for (const operation of script) failure = (await perform(remote, operation)) ?? failure;
  await remote.close();
  const end = await remote.closed.then(() => undefined, judge);
  return end ?? failure;
}

/**
 * Lets a server say these messages, the next whenever the client has come to rest, and then end.
 * @param use the client, over its end of the link
 */
export async function talkTo(
  messages: Iterable<Uint8Array>,
  use: (transport: Transport) => Promise<Error | undefined>,
): Promise<Outcome> {
  const [client, server] = transportPair();
  const said = collectBytes(server.readable);
  said.catch(() => {});
  let isOver = false;
  const used = use(client).catch(judge);
  used.finally(() => {
    isOver = true;
  });
  const writer = server.writable.getWriter();
  writer.closed.catch(() => {});
  for (const message of messages) {
    if (isOver) break;
    await rest();
    writer.write(message).catch(() => {});
  }
  await rest();
  writer.close().catch(() => {});
  const error = await ending("the client", used);
  client.close();
  return { said: await said.catch(() => new Uint8Array(0)), ...(error && { error }) };
}

/** The whole client: handshake, operations, end. */
export function askServer(messages: Iterable<Uint8Array>, script: readonly Operation[]): Promise<Outcome> {
  return talkTo(messages, async (transport) => useRemote(await nbdClient(transport), script));
}

/** Lets everything happen that needs no outside world: the client has then said what it has to say. */
function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
