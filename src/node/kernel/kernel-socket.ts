import { Socket } from "node:net";
import { deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import { WritableStream } from "../../streams/runtime.ts";
import { destroy, readableOf, writableOf } from "../node-stream.ts";
import { isGone } from "../system-error.ts";
import {
  AF_UNIX,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  type SystemCalls,
  systemCalls,
} from "./system-calls.ts";

/** A whole request or reply of the usual size fits, so that neither side waits for the other in its middle. */
const SEND_BUFFER = 1 << 20;

/** A transport to the kernel's nbd driver, which speaks NBD's transmission phase on it. */
export interface KernelSocket extends Transport {
  /** The descriptor of the kernel's end, for NBD_CMD_CONNECT. */
  readonly kernelEnd: number;
  /** Closes the kernel's end here; the kernel keeps it open for itself once it has it. */
  handOver(): void;
}

/**
 * Makes a connected pair of sockets, of which the kernel is to be given one end.
 * @throws Error where the package koffi is absent; SystemCallError when there are no descriptors left
 */
export async function kernelSocket(): Promise<KernelSocket> {
  const calls = await systemCalls();
  const [ours, kernelEnd] = calls.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  let incoming: Socket;
  let outgoing: Socket;
  try {
    for (const fd of [ours, kernelEnd]) enlarge(calls, fd);
    // Two, as one would be gone when a reply comes too late, and with it the NBD_CMD_DISC that is still to be read.
    outgoing = new Socket({ fd: calls.duplicate(ours), readable: false, writable: true });
    incoming = new Socket({ fd: ours, readable: true, writable: false });
  } catch (error) {
    for (const fd of [ours, kernelEnd]) calls.close(fd);
    throw error;
  }
  const closed = deferred();
  incoming.once("close", () => closed.resolve());
  let isOpen = true;
  function handOver() {
    if (isOpen) calls.close(kernelEnd);
    isOpen = false;
  }
  return {
    readable: readableOf(incoming),
    writable: untilShutDown(writableOf(outgoing)),
    closed: closed.promise,
    kernelEnd,
    handOver,
    close(reason) {
      handOver();
      destroy(outgoing, reason);
      destroy(incoming, reason);
    },
  };
}

/** Lets go of what comes when the kernel has shut the socket down: why it did is said on the other half. */
function untilShutDown(writable: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  const unlessShutDown = (error: unknown) => {
    if (!isGone(error)) throw error;
  };
  return new WritableStream<Uint8Array>({
    write: (chunk) => writer.write(chunk).catch(unlessShutDown),
    close: () => writer.close().catch(unlessShutDown),
    abort: (reason) => writer.abort(reason),
  });
}

function enlarge(calls: SystemCalls, fd: number) {
  try {
    calls.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
  } catch {
    // Beyond net.core.wmem_max only with CAP_NET_ADMIN.
    calls.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
  }
}
