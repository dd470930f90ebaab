import { type Field, struct } from "../../nbd/struct.ts";
import { concat } from "../../streams/concat.ts";
import { SystemCallError } from "../system-call-error.ts";
import {
  type Attributes,
  type AttributeValues,
  decodeAttributes,
  encodeAttributes,
  text,
  u16 as u16Attribute,
} from "./netlink-attributes.ts";
import { AF_NETLINK, NETLINK_GENERIC, SOCK_CLOEXEC, SOCK_RAW, systemCalls } from "./system-calls.ts";

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Netlink speaks in the byte order of the machine. */
const u16: Field<number> = {
  size: 2,
  get: (view, at) => view.getUint16(at, isLittleEndian),
  set: (view, at, value) => view.setUint16(at, value, isLittleEndian),
};
const u32: Field<number> = {
  size: 4,
  get: (view, at) => view.getUint32(at, isLittleEndian),
  set: (view, at, value) => view.setUint32(at, value, isLittleEndian),
};
const i32: Field<number> = { ...u32, get: (view, at) => view.getInt32(at, isLittleEndian) };
const u8: Field<number> = {
  size: 1,
  get: (view, at) => view.getUint8(at),
  set: (view, at, value) => view.setUint8(at, value),
};

/** struct nlmsghdr (netlink(7)). */
const NetlinkMessage = struct("netlink message", (field) => ({
  length: field(u32),
  type: field(u16),
  flags: field(u16),
  sequence: field(u32),
  port: field(u32),
}));

/** struct genlmsghdr (linux/genetlink.h), which stands before the attributes. */
const GenericMessage = struct("generic netlink message", (field) => ({
  command: field(u8),
  version: field(u8),
  reserved: field(u16),
}));

/** struct nlmsgerr: 0, or the errno with a minus sign. Before it stands the header, behind it that of the request. */
const Outcome = struct("netlink outcome", (field) => ({ error: field(i32) }));

const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;

/** The family that knows the numbers of the others (linux/genetlink.h). */
const CONTROLLER = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const controllerAttributes = { id: u16Attribute(1), name: text(2) };

/** More than any answer here has. */
const LONGEST = 1 << 16;

/** A family of generic netlink messages, as a kernel header declares it. */
export interface Family<A extends Attributes> {
  readonly name: string;
  readonly version: number;
  readonly attributes: A;
}

/** Speaks to the kernel in one family of messages. */
export interface FamilySocket<A extends Attributes> {
  /**
   * Has the kernel carry out a command, in a thread of its own since that may take its time.
   * @returns what the kernel answered besides its consent
   * @throws SystemCallError with the errno that it answered
   */
  request(command: number, values: AttributeValues<A>): Promise<AttributeValues<A>[]>;
  /** Has the kernel carry out a command at once, on the event loop, whatever comes of it. */
  post(command: number, values: AttributeValues<A>): void;
  close(): void;
}

/**
 * Opens a socket for one family.
 * @throws SystemCallError, ENOENT where the kernel knows no such family: its module is not loaded
 */
export async function openFamily<A extends Attributes>(family: Family<A>): Promise<FamilySocket<A>> {
  const calls = await systemCalls();
  const fd = calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
  let sequence = 0;

  function encode<R extends Attributes>(
    type: number,
    command: number,
    { version, attributes }: Omit<Family<R>, "name">,
    values: AttributeValues<R>,
  ): Uint8Array {
    sequence++;
    const payload = encodeAttributes(attributes, values);
    const length = NetlinkMessage.size + GenericMessage.size + payload.byteLength;
    const flags = NLM_F_REQUEST | NLM_F_ACK;
    return concat([
      NetlinkMessage.encode({ length, type, flags, sequence, port: 0 }),
      GenericMessage.encode({ command, version, reserved: 0 }),
      payload,
    ]);
  }

  async function request<R extends Attributes>(
    type: number,
    command: number,
    kind: Omit<Family<R>, "name">,
    values: AttributeValues<R>,
  ): Promise<AttributeValues<R>[]> {
    await calls.send(fd, encode(type, command, kind, values));
    const { attributes } = kind;
    const answers: AttributeValues<R>[] = [];
    // The kernel has answered by the time that it lets the sender go on, so nothing has to be waited for.
    for (;;) {
      for (const message of messagesIn(calls.receive(fd, LONGEST))) {
        if (message.sequence !== sequence) continue;
        if (message.type !== NLMSG_ERROR) {
          answers.push(decodeAttributes(attributes, message.payload.subarray(GenericMessage.size)));
          continue;
        }
        const { error } = Outcome.decode(message.payload);
        if (error !== 0) throw new SystemCallError(`netlink command ${command}`, -error);
        return answers;
      }
    }
  }

  try {
    const controller = { version: 1, attributes: controllerAttributes };
    const [answer] = await request(CONTROLLER, CTRL_CMD_GETFAMILY, controller, { name: family.name });
    const id = answer!.id!;
    return {
      request: (command, values) => request(id, command, family, values),
      post: (command, values) => calls.sendNow(fd, encode(id, command, family, values)),
      close: () => calls.close(fd),
    };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

function* messagesIn(bytes: Uint8Array) {
  for (let at = 0; at + NetlinkMessage.size <= bytes.byteLength; ) {
    const header = NetlinkMessage.decode(bytes.subarray(at));
    if (header.length < NetlinkMessage.size) return;
    const end = Math.min(at + header.length, bytes.byteLength);
    yield { ...header, payload: bytes.subarray(at + NetlinkMessage.size, end) };
    at += Math.ceil(header.length / 4) * 4;
  }
}
