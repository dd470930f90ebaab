import { withWordsForOthers, wordsForOthers } from "../../streams/for-others.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Configuration } from "../config/config.ts";
import { claimDevice } from "../kernel/device-claim.ts";
import { kernelDevice } from "../kernel/kernel-device.ts";
import type { Place } from "./place.ts";

/** Bytes of payload in flight for a kernel device: somewhat more than it has outstanding. */
const DEVICE_SHARE = 1 << 24;

/**
 * The kernel device of a configuration, as a place for an export.
 * @throws Error when there is no such device, no permission, or another user
 */
export async function devicePlace(
  { name, timeout }: Pick<Configuration, "name" | "timeout">,
  { nbdDevice: path, settings }: Extract<Configuration["target"], { nbdDevice: string }>,
): Promise<Place> {
  const identifier = `nbd-proxy ${name}`;
  const { index, release } = await claimDevice(path, identifier);
  return {
    release,
    async attach(target, { budget, patience = 0, log, signal }) {
      const room = budget.share(DEVICE_SHARE);
      try {
        const device = await kernelDevice(target, {
          path,
          index,
          identifier,
          timeout,
          patience,
          room,
          signal,
          queue: { readAheadKb: settings["read-ahead-kb"], maxRequestKb: settings["max-request-kb"] },
          blockSize: settings["block-size"],
          connections: settings.connections,
        });
        const rest = target.size - device.size;
        if (rest > 0) log(`the last ${rest} bytes do not fill a block, and are not on ${path}`, "warning");
        return {
          where: path,
          ended: device.ended,
          flush: device.flush,
          async detach() {
            await device.detach();
            room.close();
          },
        };
      } catch (error) {
        room.close();
        const message = `configuration "${name}": attaching ${path}: ${messageOf(error)}`;
        throw withWordsForOthers(new Error(message), wordsForOthers(error));
      }
    },
  };
}
