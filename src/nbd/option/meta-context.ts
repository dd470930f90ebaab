import { concat } from "../../streams/concat.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { BASE_ALLOCATION, MAX_STRING, nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError, RefusedError } from "../error.ts";
import { struct, u32 } from "../struct.ts";
import { decodeName } from "./name.ts";
import {
  ALLOCATION_ID,
  findExport,
  type OptionHandler,
  refuse,
  replyTo,
  type ServerHandshake,
  sendOption,
} from "./option.ts";
import { isError, receivedReply, refusal } from "./option-reply.ts";

/** NBD_REP_META_CONTEXT begins with it; the context's name follows. */
export const MetaContext = struct("NBD_REP_META_CONTEXT", (field) => ({ id: field(u32) }));

/** The namespace of `base:allocation`. As a query it asks for all contexts in it. */
const BASE = "base:";

/** How many queries an option may have; there is room for 16,000 empty ones. */
const MAX_QUERIES = 1 << 10;

/** Decodes the data of LIST_META_CONTEXT and SET_META_CONTEXT. Undefined if it is invalid, or has too many queries. */
export function decodeContextRequest(
  data: Uint8Array,
): { name: string | undefined; queries: (string | undefined)[] } | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  let isSound = true;
  function number(): number {
    isSound &&= at + 4 <= data.byteLength;
    const value = isSound ? view.getUint32(at) : 0;
    at += 4;
    return value;
  }
  function text(): Uint8Array {
    const length = number();
    isSound &&= length <= data.byteLength - at;
    at += length;
    return isSound ? data.subarray(at - length, at) : new Uint8Array(0);
  }

  const name = decodeName(text());
  const queries: (string | undefined)[] = [];
  // Each query takes at least 4 bytes, so a count that is too high soon fails.
  const count = number();
  isSound &&= count <= MAX_QUERIES;
  for (let left = count; left > 0 && isSound; left--) queries.push(decodeName(text()));
  return isSound && at === data.byteLength ? { name, queries } : undefined;
}

function encodeContextRequest(name: string, queries: readonly string[]): Uint8Array {
  const text = new TextEncoder();
  const number = (value: number) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    return bytes;
  };
  const counted = (words: string) => {
    const bytes = text.encode(words);
    return [number(bytes.byteLength), bytes];
  };
  return concat([...counted(name), number(queries.length), ...queries.flatMap(counted)]);
}

/**
 * Answers both options: refuses invalid data, and replies with `base:allocation` if the queries ask for it. Listing changes
 * nothing, so a query may stand for more: none at all for `base:allocation` too, and one of our own for what the server says
 * of itself.
 * @returns the name of the export if `base:allocation` was asked for
 */
async function answer(
  option: number,
  data: Uint8Array,
  handshake: ServerHandshake,
): Promise<string | undefined> {
  const request = decodeContextRequest(data);
  if (!handshake.headers) {
    await refuse(handshake, option, Reply.ERR_INVALID, "structured replies must be negotiated first");
    return undefined;
  }
  if (!request || request.queries.some((query) => !query?.includes(":"))) {
    await refuse(handshake, option, Reply.ERR_INVALID, "the option's lengths or queries make no sense");
    return undefined;
  }
  const { name, queries } = request;
  if (!findExport(handshake, name)) {
    await refuse(handshake, option, Reply.ERR_UNKNOWN, "no such export");
    return undefined;
  }
  const isList = option === Option.LIST_META_CONTEXT;
  const id = isList ? 0 : ALLOCATION_ID;
  const tell = (context: string) =>
    replyTo(handshake, option, Reply.META_CONTEXT, MetaContext.encode({ id }), context);
  const found =
    queries.includes(BASE_ALLOCATION) || (isList && (queries.length === 0 || queries.includes(BASE)));
  if (found) await tell(BASE_ALLOCATION);
  if (isList) await handshake.introduction?.(queries as string[], tell);
  await replyTo(handshake, option, Reply.ACK);
  return found ? name : undefined;
}

/** NBD_OPT_LIST_META_CONTEXT. Without a query it lists `base:allocation`. It changes nothing. */
export const listMetaContext: OptionHandler = async (data, handshake) => {
  await answer(Option.LIST_META_CONTEXT, data, handshake);
  return "haggle";
};

/** NBD_OPT_SET_META_CONTEXT. It drops an earlier selection, even if it is refused. */
export const setMetaContext: OptionHandler = async (data, handshake) => {
  handshake.allocationOf = undefined;
  handshake.allocationOf = await answer(Option.SET_META_CONTEXT, data, handshake);
  return "haggle";
};

/** A metadata context that a server has. */
interface Context {
  id: number;
  name: string;
}

/** How many contexts a server may list. */
const MAX_CONTEXTS = 1 << 10;

/**
 * The client's side of both options: yields the contexts as the server lists them.
 * @throws RefusedError if it refuses, perhaps after some contexts
 * @throws ProtocolError if its answer is invalid, or too long
 */
async function* ask(
  dialogue: Dialogue,
  option: typeof Option.LIST_META_CONTEXT | typeof Option.SET_META_CONTEXT,
  name: string,
  queries: readonly string[],
): AsyncGenerator<Context, void> {
  const what = nameOf(Option, option);
  await sendOption(dialogue, option, encodeContextRequest(name, queries));
  for (let count = 0; ; count++) {
    const reply = await dialogue.read(receivedReply(option), `reply to ${what}`);
    const { type, data } = reply;
    if (isError(type)) throw refusal(`the metadata contexts of "${name}"`, reply);
    if (type === Reply.ACK) return;
    if (type !== Reply.META_CONTEXT || data.byteLength < MetaContext.size) {
      throw new ProtocolError(
        `the server answered ${what} with ${nameOf(Reply, type)} of ${data.byteLength} bytes`,
      );
    }
    const context = decodeName(data.subarray(MetaContext.size, MetaContext.size + MAX_STRING));
    if (context === undefined) {
      throw new ProtocolError(`the server answered ${what} with a context name that is not UTF-8`);
    }
    if (count === MAX_CONTEXTS) {
      throw new ProtocolError(`the server answered ${what} with more than ${MAX_CONTEXTS} contexts`);
    }
    yield { ...MetaContext.decode(data), name: context };
  }
}

/**
 * The client's side of LIST_META_CONTEXT: the names of all contexts of the export called `name`, none if the server refuses.
 * @throws ProtocolError if its answer is invalid
 */
export async function askForContexts(dialogue: Dialogue, name: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const context of ask(dialogue, Option.LIST_META_CONTEXT, name, [])) names.push(context.name);
    return names;
  } catch (error) {
    if (error instanceof RefusedError) return [];
    throw error;
  }
}

/**
 * The client's side of SET_META_CONTEXT: selects `base:allocation` for the export called `name`.
 * @returns its id, or undefined if the server does not have it
 * @throws ProtocolError if its answer is invalid
 */
export async function selectAllocation(dialogue: Dialogue, name: string): Promise<number | undefined> {
  let id: number | undefined;
  try {
    for await (const context of ask(dialogue, Option.SET_META_CONTEXT, name, [BASE_ALLOCATION])) {
      if (id !== undefined || context.name !== BASE_ALLOCATION) {
        throw new ProtocolError("the server selected metadata contexts that it was not asked for");
      }
      id = context.id;
    }
    return id;
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

/**
 * Asks for the contexts in a namespace that one query stands for, by LIST_META_CONTEXT.
 * @returns the context, or undefined if the server refuses or has none. Contexts of other namespaces are no answer
 * @throws ProtocolError if its answer is invalid, or has more than one such context
 */
export async function askForContext(
  dialogue: Dialogue,
  name: string,
  query: string,
  namespace: string,
): Promise<string | undefined> {
  let found: string | undefined;
  try {
    for await (const context of ask(dialogue, Option.LIST_META_CONTEXT, name, [query])) {
      if (!context.name.startsWith(namespace)) continue;
      if (found !== undefined) {
        throw new ProtocolError(`the server listed more than one metadata context of ${namespace}`);
      }
      found = context.name;
    }
    return found;
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}
