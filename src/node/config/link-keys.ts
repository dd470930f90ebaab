import * as v from "valibot";
import type { RequestWindow } from "../../export/request-window.ts";
import { timeOrNever, whole } from "./values.ts";

/** How a link is used. */
export interface LinkSettings {
  /** What the server is asked for at most, in bytes. What is absent has a default where the link is made. */
  readonly window: Partial<RequestWindow>;
  /** Seconds of silence after which `nbd-proxy` reads a sector; 0: never. */
  readonly keepAlive: number;
}

const KIB = 1 << 10;

/** A day. */
const LONGEST_SILENCE = 86_400;

/** Their keys, at the top of the file or in a configuration. */
export const linkKeys = {
  "window-kb": v.optional(whole(16, 1 << 15, "KiB")),
  "request-kb": v.optional(whole(4, 1 << 12, "KiB")),
  "keep-alive": v.optional(timeOrNever(1, LONGEST_SILENCE)),
};

export type LinkKeys = v.InferOutput<ReturnType<typeof v.object<typeof linkKeys>>>;

/** What is wrong with keys that do not go together; undefined if nothing is. */
export function linkKeysFault(keys: LinkKeys): string | undefined {
  const { "window-kb": outstanding, "request-kb": request } = keys;
  if (outstanding === undefined || request === undefined || request <= outstanding) return undefined;
  return `"request-kb" is ${request}, more than "window-kb", which is ${outstanding}; a request must fit in the window`;
}

/** The settings that keys give, with the defaults of those that are absent. */
export function linkSettingsOf(keys: LinkKeys): LinkSettings {
  const { "window-kb": outstanding, "request-kb": request, "keep-alive": keepAlive = 20 } = keys;
  const window = {
    ...(outstanding !== undefined && { outstanding: outstanding * KIB }),
    ...(request !== undefined && { request: request * KIB }),
  };
  return { window, keepAlive };
}
