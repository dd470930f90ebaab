import * as fs from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { isatty } from "node:tty";
import { deadline } from "../streams/deadline.ts";
import { deferred } from "../streams/deferred.ts";
import type { Transport } from "../streams/duplex.ts";
import { onHangUp } from "./hang-up.ts";
import { destroy, readableOf, writableOf } from "./node-stream.ts";
import { pipeInput } from "./pipe-input.ts";
import { connectionError } from "./system-error.ts";

/** Milliseconds to receive what the other side said last, once it has stopped reading. */
const LAST_WORDS = 200;

/** A transport over standard input and output, which tells how many bytes came. */
export interface StdioTransport extends Transport {
  readonly received: number;
}

/**
 * A transport over standard input and output, each a pipe, socket, file or device. They belong to the transport.
 *
 * It ends when either of them ends: the reader of standard output may be gone without having ended standard input.
 *
 * `process.stdout` is not used, since it writes to pipes synchronously: a reader that stops would stop the event loop.
 *
 * @throws Error if either is a terminal
 */
export function stdioTransport(): StdioTransport {
  const [isInputPipe, isOutputPipe] = [isPipe(0), isPipe(1)];
  const { stream: input, readable }: Input = isInputPipe ? pipeInput(0) : fileInput(0);
  const output: Writable = isOutputPipe
    ? new Socket({ fd: 1, readable: false, writable: true, allowHalfOpen: true })
    : fs.createWriteStream("", { fd: 1, fs: keptOpen });

  const closed = deferred();
  let open = 2;
  let callOff: (() => void) | undefined;
  if (isOutputPipe) {
    const stopWatching = onHangUp(1, () => {
      callOff = deadline(LAST_WORDS, () => destroy(input, undefined));
    });
    output.once("close", stopWatching);
    input.once("close", () => callOff?.());
  }
  for (const end of [input, output]) {
    end.once("error", (error) => closed.reject(connectionError(error)));
    end.once("close", () => {
      if (--open === 0) closed.resolve();
    });
  }
  return {
    readable,
    writable: writableOf(output),
    closed: closed.promise,
    get received() {
      return input.bytesRead;
    },
    close(reason) {
      destroy(input, reason);
      destroy(output, reason);
    },
  };
}

interface Input {
  readonly stream: Readable & { readonly bytesRead: number };
  readonly readable: ReadableStream<Uint8Array>;
}

/** What comes out of a file or device, by its descriptor. */
function fileInput(fd: number): Input {
  const stream = fs.createReadStream("", { fd, fs: keptOpen });
  return { stream, readable: readableOf(stream) };
}

/**
 * Node's file system without `close`, so that the standard descriptors stay open. Otherwise a file that is opened later could get
 * their numbers, and with them what a library writes to standard output.
 */
const keptOpen = { ...fs, close: (_fd: number, done: (error?: Error | null) => void) => done() };

/** Whether a descriptor can be polled, as pipes and sockets can; files and devices cannot. */
function isPipe(fd: 0 | 1): boolean {
  if (isatty(fd)) {
    const name = fd === 0 ? "standard input" : "standard output";
    throw new Error(`${name} is a terminal; connect it to the other side, as it carries NBD`);
  }
  const stat = fs.fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
