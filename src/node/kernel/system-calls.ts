import type { KoffiFunc } from "koffi";
import { loadKoffi } from "../koffi.ts";
import { SystemCallError } from "../system-call-error.ts";

/** The numbers of Linux that are needed here (socket(2), netlink(7), unix(7), socket(7), recv(2)). */
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const NETLINK_GENERIC = 16;
export const SOL_SOCKET = 1;
export const SO_TYPE = 3;
export const SO_SNDBUF = 7;
export const SO_ACCEPTCONN = 30;
export const SO_SNDBUFFORCE = 32;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of the longest address of a socket (struct sockaddr_storage). */
const LONGEST_ADDRESS = 128;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
/** linux/fs.h, linux/loop.h */
const BLKFLSBUF = 0x1261;
const LOOP_GET_STATUS64 = 0x4c05;
/** Bytes of struct loop_info64. It begins with the device of the file that is shown, its inode, and the device that it is. */
const LOOP_INFO = 232;

/** The system calls that Node lacks. Each throws SystemCallError when it fails. */
export interface SystemCalls {
  socket(domain: number, type: number, protocol: number): number;
  /** The two ends of a connection. */
  socketpair(domain: number, type: number, protocol: number): [number, number];
  /** Sets an option that is an int. */
  setsockopt(fd: number, level: number, name: number, value: number): void;
  /** The value of an option that is an int. */
  getsockopt(fd: number, level: number, name: number): number;
  /** The address that a socket is bound to, as the kernel writes it (struct sockaddr). */
  getsockname(fd: number): Uint8Array;
  /** Sends a message to an address, or fails with EAGAIN where it would have to wait. */
  sendTo(fd: number, message: Uint8Array, address: Uint8Array): void;
  /** Sends a message, in a thread of its own: the kernel may work on it for a while, or for ever. */
  send(fd: number, message: Uint8Array): Promise<void>;
  /** Sends a message, and returns when the kernel has worked on it. */
  sendNow(fd: number, message: Uint8Array): void;
  /** Receives the next message that is there already, of at most `size` bytes. */
  receive(fd: number, size: number): Uint8Array;
  /** Writes what is held of a block device, a mounted file system included, in a thread of its own. */
  flushBuffers(fd: number): Promise<void>;
  /** Writes what the file system holds that a descriptor is of, in a thread of its own (syncfs(2)). */
  syncFileSystem(fd: number): Promise<void>;
  /**
   * What a loop device shows, asked in a thread of its own: the number of the device that the file is on, and of the one that
   * it is, 0 where it is none.
   */
  loopStatus(fd: number): Promise<{ fileSystem: bigint; device: bigint }>;
  /** Another descriptor of the same file, which programs that are run do not get either. */
  duplicate(fd: number): number;
  /** How many bytes a pipe holds. */
  getPipeSize(fd: number): number;
  /** Sets how many bytes a pipe holds; returns how many that is, which may be more. */
  setPipeSize(fd: number, bytes: number): number;
  close(fd: number): void;
}

let loaded: Promise<SystemCalls> | undefined;

/**
 * Loads the system calls, once.
 * @throws Error where the package koffi is absent
 */
export function systemCalls(): Promise<SystemCalls> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<SystemCalls> {
  const koffi = await loadKoffi();
  // The symbols of the process itself, whatever C library it is linked with.
  const library = koffi.load(null);
  const socket = library.func("int socket(int domain, int type, int protocol)");
  const socketpair = library.func("int socketpair(int domain, int type, int protocol, _Out_ int *ends)");
  const setsockopt = library.func(
    "int setsockopt(int fd, int level, int name, const int *value, uint32_t size)",
  );
  const getsockopt = library.func(
    "int getsockopt(int fd, int level, int name, _Out_ int *value, _Inout_ uint32_t *size)",
  );
  const getsockname = library.func("int getsockname(int fd, void *address, _Inout_ uint32_t *size)");
  const sendto = library.func(
    "intptr_t sendto(int fd, const void *data, size_t size, int flags, const void *address, uint32_t length)",
  );
  const send = library.func("intptr_t send(int fd, const void *data, size_t size, int flags)");
  const recv = library.func("intptr_t recv(int fd, void *data, size_t size, int flags)");
  const fcntl = library.func("int fcntl(int fd, int command, ...)");
  const ioctl = library.func("int ioctl(int fd, unsigned long request, uintptr_t argument)");
  const syncfs = library.func("int syncfs(int fd)");
  const close = library.func("int close(int fd)");

  function checked(call: string, result: number): number {
    if (result < 0) throw new SystemCallError(call, koffi.errno());
    return result;
  }

  async function inThread(
    call: string,
    f: KoffiFunc<(...args: never[]) => number>,
    args: readonly unknown[],
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      f.async(...(args as never[]), (error: Error | null, result: number) => {
        if (error) reject(error);
        else if (result < 0) reject(new SystemCallError(call, koffi.errno()));
        else resolve();
      });
    });
    // koffi keeps no reference to a buffer that a thread works on.
    void args;
  }

  return {
    socket: (domain, type, protocol) => checked("socket", socket(domain, type, protocol)),
    socketpair(domain, type, protocol) {
      const ends: [number, number] = [-1, -1];
      checked("socketpair", socketpair(domain, type, protocol, ends));
      return ends;
    },
    setsockopt: (fd, level, name, value) => {
      checked("setsockopt", setsockopt(fd, level, name, [value], 4));
    },
    getsockopt(fd, level, name) {
      const value = [0];
      checked("getsockopt", getsockopt(fd, level, name, value, [4]));
      return value[0]!;
    },
    getsockname(fd) {
      const address = new Uint8Array(LONGEST_ADDRESS);
      const size = [LONGEST_ADDRESS];
      checked("getsockname", getsockname(fd, address, size));
      return address.subarray(0, size[0]);
    },
    sendTo: (fd, message, address) => {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      checked("sendto", sendto(fd, message, message.byteLength, flags, address, address.byteLength));
    },
    send: (fd, message) => inThread("send", send, [fd, message, message.byteLength, 0]),
    sendNow: (fd, message) => {
      checked("send", send(fd, message, message.byteLength, 0));
    },
    flushBuffers: (fd) => inThread("ioctl", ioctl, [fd, BLKFLSBUF, 0]),
    syncFileSystem: (fd) => inThread("syncfs", syncfs, [fd]),
    async loopStatus(fd) {
      const status = new BigUint64Array(LOOP_INFO / 8);
      await inThread("ioctl", ioctl, [fd, LOOP_GET_STATUS64, koffi.address(status)]);
      return { fileSystem: status[0]!, device: status[2]! };
    },
    receive(fd, size) {
      const data = new Uint8Array(size);
      return data.subarray(0, checked("recv", recv(fd, data, size, MSG_DONTWAIT)));
    },
    duplicate: (fd) => checked("fcntl", fcntl(fd, F_DUPFD_CLOEXEC, "int", 0)),
    getPipeSize: (fd) => checked("fcntl", fcntl(fd, F_GETPIPE_SZ, "int", 0)),
    setPipeSize: (fd, bytes) => checked("fcntl", fcntl(fd, F_SETPIPE_SZ, "int", bytes)),
    close: (fd) => {
      checked("close", close(fd));
    },
  };
}
