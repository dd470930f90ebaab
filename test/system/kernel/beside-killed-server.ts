import { root } from "../../harness.ts";
import { beside } from "./beside.ts";

/** Bytes of the image. */
export const SIZE = 64 << 20;

/** Files in the folder of both sides. */
export const FILES = {
  /** The image that is served. */
  image: "disk.img",
  /** Written in the machine: the URL of the gateway, which is served then; and that the server may stay. */
  url: "url",
  stay: "stay",
  /** How often the server was killed, once it stays. */
  kills: "kills",
} as const;

/**
 * User-Mode Linux with a server outside of it that is killed again and again, and loses what was not flushed. Inside, Node
 * would take most of the time between two kills to start.
 */
export const besideKilledServer = beside((sandbox) => {
  const outside = "test/system/kernel/killed-server.outside.ts";
  return `(cd ${root} && exec ${process.execPath} --import tsx ${outside} ${sandbox.folder} >&2) &`;
});
