import type { Family } from "./generic-netlink.ts";
import { type Attributes, list, nested, text, u32, u64 } from "./netlink-attributes.ts";

/** The commands of the kernel's nbd driver that are used here (linux/nbd-netlink.h). */
export const NbdNetlinkCommand = {
  CONNECT: 1,
  DISCONNECT: 2,
} as const;

/** The messages of the kernel's nbd driver (linux/nbd-netlink.h). */
export const nbdFamily = {
  name: "nbd",
  version: 1,
  attributes: {
    /** N of /dev/nbdN. */
    index: u32(1),
    sizeBytes: u64(2),
    blockSizeBytes: u64(3),
    /** Seconds after which the kernel gives a request up, and the socket with it; absent: never. */
    timeout: u64(4),
    /** Transmission flags. */
    serverFlags: u64(5),
    clientFlags: u64(6),
    sockets: list(7, nested(1, { fd: u32(1) })),
    /** Seconds that a device without a socket waits for RECONFIGURE. */
    deadConnTimeout: u64(8),
    /** Free text, for whoever comes later to see whose device it is. */
    backendIdentifier: text(10),
  },
} satisfies Family<Attributes>;
