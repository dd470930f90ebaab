/** Words of NBD in hex, as the protocol's document has them: literals, so that code cannot prove itself. */
import { hex } from "../bytes.ts";

/** A number in hex, with so many digits. */
export const number = (n: number | bigint, digits: number) => n.toString(16).padStart(digits, "0");

const length = (data: string) => number(hex(data).byteLength, 8);

/** The greeting of a server, with its handshake flags: FIXED_NEWSTYLE is 0001, NO_ZEROES 0002. */
export const greeting = (flags: string) => `4e42444d41474943 49484156454f5054 ${flags}`;
export const GREETING = greeting("0003");

/** The client's flags in answer to GREETING. */
export const FLAGS = "00000003";

/** An option of the client's; `type` has eight digits. */
export const option = (type: string, data = "") => `49484156454f5054 ${type} ${length(data)} ${data}`;

/** GO for the default export, without any question. */
export const GO = option("00000007", "00000000 0000");

/** A server's reply to an option. */
export const optionReply = (type: string, kind: string, data = "") =>
  `0003e889045565a9 ${type} ${kind} ${length(data)} ${data}`;

/** A request with a compact header. */
export const request = (type: number, cookie: number, offset = 0, length = 0, flags = 0) =>
  `25609513 ${number(flags, 4)} ${number(type, 4)} ${number(cookie, 16)} ${number(offset, 16)} ${number(length, 8)}`;

/** The header of a simple reply. */
export const reply = (cookie: number | bigint, error = 0) =>
  `67446698 ${number(error, 8)} ${number(cookie, 16)}`;
