import type { Parser } from "../../streams/parse.ts";
import {
  flagNames,
  HandshakeFlag,
  Info,
  NBD_OPTS_MAGIC,
  NBD_REP_MAGIC,
  nameOf,
  Option,
  Reply,
  TransmissionFlag,
} from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { ClientFlags, ExportNameReply, Greeting, OptionReply, OptionRequest } from "../messages.ts";
import { ZEROES } from "../option/export-name.ts";
import { decodeInfoRequest, InfoBlockSize, InfoExport } from "../option/go.ts";
import { ListedExport } from "../option/list.ts";
import { decodeContextRequest, MetaContext } from "../option/meta-context.ts";
import { isError } from "../option/option-reply.ts";
import { maskKeys } from "./masked.ts";
import { MAX_DATA, type Meaning, number, quote, type Session, text, whole } from "./meaning.ts";

export function* greeting(): Parser<Meaning> {
  const { style, flags } = Greeting.decode(yield Greeting.size);
  if (style !== NBD_OPTS_MAGIC) throw new ProtocolError("a greeting that is not newstyle");
  return { comment: `greeting, ${flagNames(HandshakeFlag, flags)}` };
}

export function* clientFlags(session: Session): Parser<Meaning> {
  const { flags } = ClientFlags.decode(yield ClientFlags.size);
  session.noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
  return { comment: `client flags, ${flagNames(HandshakeFlag, flags)}` };
}

export function* option(magic: Uint8Array, session: Session): Parser<Meaning> {
  startsWith(magic, NBD_OPTS_MAGIC, "client message");
  const { option, length } = OptionRequest.decode(yield* whole(magic, OptionRequest.size));
  session.options.push(option);
  const name = nameOf(Option, option);
  if (length > MAX_DATA) return { comment: `${name}, ${length} bytes of data`, data: length };
  const data = length > 0 ? yield length : new Uint8Array(0);
  maskKeys(data);
  if (option === Option.EXPORT_NAME) return { comment: `${name} ${quote(data)}` };
  const asked = option === Option.GO || option === Option.INFO ? decodeInfoRequest(data) : undefined;
  if (asked) {
    const wanted = [...asked.wanted].map((type) => nameOf(Info, type)).join(", ");
    return {
      comment: `${name} ${text(asked.name ?? "(not UTF-8)")} wants ${wanted || "nothing more"}`,
    };
  }
  const queried =
    option === Option.SET_META_CONTEXT || option === Option.LIST_META_CONTEXT
      ? decodeContextRequest(data)
      : undefined;
  if (queried) {
    const queries = queried.queries.map((query) => text(query ?? "(not UTF-8)")).join(", ");
    return { comment: `${name} ${text(queried.name ?? "(not UTF-8)")} queries ${queries || "nothing"}` };
  }
  return { comment: length > 0 ? `${name}, ${length} bytes of data` : name };
}

export function* exportNameReply(session: Session): Parser<Meaning> {
  session.options.shift();
  const { size, flags } = ExportNameReply.decode(yield ExportNameReply.size);
  if (!session.noZeroes) yield ZEROES;
  return { comment: `reply to EXPORT_NAME: ${size} bytes, ${flagNames(TransmissionFlag, flags)}` };
}

export function* optionReply(magic: Uint8Array, session: Session): Parser<Meaning> {
  startsWith(magic, NBD_REP_MAGIC, "server message");
  const { option, type, length } = OptionReply.decode(yield* whole(magic, OptionReply.size));
  if (type === Reply.ACK || isError(type)) session.options.shift();
  const comment = `reply to ${nameOf(Option, option)}: ${nameOf(Reply, type)}`;
  if (length > MAX_DATA) return { comment: `${comment}, ${length} bytes of data`, data: length };
  if (length === 0) return { comment };
  const data = yield length;
  if (isError(type)) return { comment: `${comment}, ${quote(data)}` };
  if (type === Reply.INFO) return { comment: `${comment} ${information(data)}` };
  if (type === Reply.SERVER && length >= ListedExport.size) {
    const end = ListedExport.size + ListedExport.decode(data).nameLength;
    const words = end < length ? `, ${quote(data.subarray(end))}` : "";
    return { comment: `${comment} ${quote(data.subarray(ListedExport.size, end))}${words}` };
  }
  if (type === Reply.META_CONTEXT && length >= MetaContext.size) {
    const { id } = MetaContext.decode(data);
    return { comment: `${comment} ${quote(data.subarray(MetaContext.size))}, id ${id}` };
  }
  return { comment: `${comment}, ${length} bytes of data` };
}

/** One NBD_REP_INFO. */
function information(data: Uint8Array): string {
  if (data.byteLength < 2) return "without a type";
  const type = data[0]! * 256 + data[1]!;
  if (type === Info.EXPORT && data.byteLength === InfoExport.size) {
    const { size, flags } = InfoExport.decode(data);
    return `EXPORT, ${size} bytes, ${flagNames(TransmissionFlag, flags)}`;
  }
  if (type === Info.BLOCK_SIZE && data.byteLength === InfoBlockSize.size) {
    const { minimum, preferred, maximum } = InfoBlockSize.decode(data);
    return `BLOCK_SIZE, minimum ${minimum}, preferred ${preferred}, maximum ${maximum}`;
  }
  if (type === Info.NAME || type === Info.DESCRIPTION)
    return `${nameOf(Info, type)} ${quote(data.subarray(2))}`;
  return `of type ${type}, ${data.byteLength} bytes of data`;
}

/** Checks the first half of a magic before more bytes are awaited. */
function startsWith(bytes: Uint8Array, magic: bigint, what: string) {
  const found = number(bytes);
  if (BigInt(found) === magic >> 32n) return;
  throw new ProtocolError(`a ${what} with the magic 0x${found.toString(16)}`);
}
