import { loadKoffi } from "./koffi.ts";

/** Read only what needs no waiting for the disk (preadv2(2), Linux). */
const NOWAIT = 8;

/** Reads from a file, at once, what the system holds of it in memory. */
export interface PageCache {
  /** How many bytes were read, from the first on; 0 or less when the disk would have to be waited for. */
  read(buffer: Uint8Array, offset: number): number;
}

/** What has a descriptor, as long as it is open: -1 afterwards. */
interface Open {
  readonly fd: number;
}

let loaded: Promise<(file: Open) => PageCache> | undefined;

async function load(): Promise<(file: Open) => PageCache> {
  const koffi = await loadKoffi();
  const preadv2 = koffi
    .load(null)
    .func("int64_t preadv2(int fd, const void *iov, int iovcnt, int64_t offset, int flags)");
  // struct iovec: where to, and how much.
  const vector = new BigUint64Array(2);
  return (file) => ({
    read(buffer, offset) {
      vector[0] = BigInt(koffi.address(buffer));
      vector[1] = BigInt(buffer.byteLength);
      return Number(preadv2(file.fd, vector, 1, offset, NOWAIT));
    },
  });
}

/**
 * The part of a file or block device that is in memory.
 * @throws Error where the package koffi, or the C library's call, is absent
 */
export async function pageCache(file: Open): Promise<PageCache> {
  if (!(file.fd >= 0)) throw new Error("the file is not open");
  loaded ??= load();
  return (await loaded)(file);
}
