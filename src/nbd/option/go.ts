import type { Dialogue } from "../../streams/negotiate.ts";
import { Info, MAX_PAYLOAD, nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { byteCount, magic, type StructValue, struct, u16, u32 } from "../struct.ts";
import type { Negotiated } from "../transmission.ts";
import { decodeName } from "./name.ts";
import { chosen, findExport, type OptionHandler, refuse, replyTo, sendOption } from "./option.ts";
import { isError, receivedReply, refusal } from "./option-reply.ts";

export const InfoExport = struct(
  "NBD_INFO_EXPORT",
  (field) => ({ size: field(byteCount), flags: field(u16) }),
  magic(u16, Info.EXPORT),
);
export const InfoBlockSize = struct(
  "NBD_INFO_BLOCK_SIZE",
  (field) => ({ minimum: field(u32), preferred: field(u32), maximum: field(u32) }),
  magic(u16, Info.BLOCK_SIZE),
);
type InfoBlockSize = StructValue<typeof InfoBlockSize>;

/** How many replies a server may send. There are four types of information. */
const MAX_REPLIES = 64;

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Decodes the data of INFO and GO: a name and the information asked for. Undefined if its lengths contradict each other. */
export function decodeInfoRequest(
  data: Uint8Array,
): { name: string | undefined; wanted: Set<number> } | undefined {
  if (data.byteLength < 6) return undefined;
  const fields = view(data);
  const nameLength = fields.getUint32(0);
  if (nameLength > data.byteLength - 6) return undefined;
  const count = fields.getUint16(4 + nameLength);
  if (data.byteLength !== 6 + nameLength + 2 * count) return undefined;
  const wanted = new Set<number>();
  for (let i = 0; i < count; i++) wanted.add(fields.getUint16(6 + nameLength + 2 * i));
  return { name: decodeName(data.subarray(4, 4 + nameLength)), wanted };
}

function encodeRequest(name: string, wanted: readonly number[]): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  const data = new Uint8Array(6 + nameBytes.byteLength + 2 * wanted.length);
  const fields = view(data);
  fields.setUint32(0, nameBytes.byteLength);
  data.set(nameBytes, 4);
  fields.setUint16(4 + nameBytes.byteLength, wanted.length);
  wanted.forEach((type, i) => {
    fields.setUint16(6 + nameBytes.byteLength + 2 * i, type);
  });
  return data;
}

/** The type before information that is a text: the name, the description. */
const typed = (type: number) => new Uint8Array([0, type]);

const DEFAULT_BLOCK_SIZE: InfoBlockSize = { minimum: 1, preferred: 4096, maximum: MAX_PAYLOAD };

/** NBD_OPT_INFO and NBD_OPT_GO. They differ only in what comes after them. */
function informing(option: number): OptionHandler {
  return async (data, handshake) => {
    const request = decodeInfoRequest(data);
    if (!request) {
      await refuse(handshake, option, Reply.ERR_INVALID, "the lengths in the option contradict each other");
      return "haggle";
    }
    const offered = findExport(handshake, request.name);
    if (!offered) {
      await refuse(handshake, option, Reply.ERR_UNKNOWN, "no such export");
      return "haggle";
    }
    const choice = chosen(handshake, offered, request.name);
    const { negotiated } = choice;
    const tell = (information: Uint8Array, text = "") =>
      replyTo(handshake, option, Reply.INFO, information, text);
    await tell(InfoExport.encode(negotiated));
    if (request.wanted.has(Info.NAME)) await tell(typed(Info.NAME), offered.name);
    if (request.wanted.has(Info.DESCRIPTION) && offered.description) {
      await tell(typed(Info.DESCRIPTION), offered.description);
    }
    if (request.wanted.has(Info.BLOCK_SIZE)) {
      await tell(InfoBlockSize.encode(negotiated.blockSize ?? DEFAULT_BLOCK_SIZE));
    }
    await replyTo(handshake, option, Reply.ACK);
    return option === Option.GO ? choice : "haggle";
  };
}

export const info: OptionHandler = informing(Option.INFO);
export const go: OptionHandler = informing(Option.GO);

/** @throws ProtocolError if the specification does not allow these block sizes */
function checkBlockSize({ minimum, preferred, maximum }: InfoBlockSize): InfoBlockSize {
  const isPowerOfTwo = (n: number) => n > 0 && Number.isInteger(Math.log2(n));
  const sound =
    isPowerOfTwo(minimum) &&
    minimum <= 65536 &&
    isPowerOfTwo(preferred) &&
    preferred >= minimum &&
    maximum >= minimum;
  if (sound) return { minimum, preferred, maximum };
  throw new ProtocolError(
    `the server announced invalid block sizes: minimum ${minimum}, preferred ${preferred}, maximum ${maximum}`,
  );
}

/** What a server tells about an export in reply to INFO and GO. */
export interface ExportInformation extends Negotiated {
  /** The server's own name for the export. */
  name?: string;
  /** The server's description of the export, for people. */
  description?: string;
}

/**
 * The client's side: asks about the export called `name`. With GO the transmission phase follows.
 * @returns undefined if the server does not know this option
 * @throws RefusedError if it refuses the export
 * @throws ProtocolError if its answer is invalid
 */
export async function askFor(
  dialogue: Dialogue,
  option: typeof Option.INFO | typeof Option.GO,
  name: string,
): Promise<ExportInformation | undefined> {
  const what = nameOf(Option, option);
  await sendOption(dialogue, option, encodeRequest(name, [Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE]));
  const found: Partial<ExportInformation> = {};
  for (let replies = 0; replies < MAX_REPLIES; replies++) {
    const reply = await dialogue.read(receivedReply(option), `reply to ${what}`);
    if (reply.type === Reply.ERR_UNSUP) return undefined;
    if (isError(reply.type)) throw refusal(`the export "${name}"`, reply);
    if (reply.type === Reply.ACK) {
      const { size, flags } = found;
      if (size === undefined || flags === undefined) {
        throw new ProtocolError(`the server accepted ${what} but did not tell the export's size`);
      }
      return { ...found, size, flags };
    }
    if (reply.type === Reply.INFO) Object.assign(found, decodeInfo(reply.data));
    else throw new ProtocolError(`the server answered ${what} with reply type ${reply.type}`);
  }
  throw new ProtocolError(`the server sent more than ${MAX_REPLIES} replies to ${what}`);
}

/** Decodes the data of one NBD_REP_INFO. An unknown type is ignored, as the specification demands. */
function decodeInfo(data: Uint8Array): Partial<ExportInformation> {
  if (data.byteLength < 2) throw new ProtocolError("the server sent information without a type");
  switch (view(data).getUint16(0)) {
    case Info.EXPORT:
      expectLength(data, InfoExport.size, "NBD_INFO_EXPORT");
      return InfoExport.decode(data);
    case Info.BLOCK_SIZE:
      expectLength(data, InfoBlockSize.size, "NBD_INFO_BLOCK_SIZE");
      return { blockSize: checkBlockSize(InfoBlockSize.decode(data)) };
    case Info.NAME: {
      const name = decodeName(data.subarray(2));
      return name === undefined ? {} : { name };
    }
    case Info.DESCRIPTION: {
      const description = decodeName(data.subarray(2));
      return description === undefined ? {} : { description };
    }
    default:
      return {};
  }
}

function expectLength(data: Uint8Array, length: number, what: string) {
  if (data.byteLength === length) return;
  throw new ProtocolError(`the server sent an ${what} of ${data.byteLength} bytes, not ${length}`);
}
