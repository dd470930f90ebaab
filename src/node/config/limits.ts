import * as v from "valibot";
import { LONGEST_MESSAGE } from "../../nbd/constants.ts";
import { time, whole } from "./values.ts";

/** What the gateway lets its clients have. Each limit is answered in words. */
export interface GatewayLimits {
  /** WebSockets at the same time, of all clients together. */
  readonly webSockets: number;
  /** WebSockets at the same time from one address that is not this machine's; with IPv6 from one /64. */
  readonly webSocketsPerAddress: number;
  /** Readers of events at the same time. */
  readonly eventListeners: number;
  /** Milliseconds for a request, from the beginning of the connection to the end of the headers. */
  readonly handshakeTime: number;
  /** Milliseconds that a connection is kept between two requests. */
  readonly idleTime: number;
  /** Bytes of the first line and all headers of a request. */
  readonly headerBytes: number;
  /** Headers of a request. */
  readonly headers: number;
  /** Bytes of a frame of a WebSocket. */
  readonly frameBytes: number;
}

const KIB = 1 << 10;
const MIB = 1 << 20;
const LONGEST_FRAME_MIB = 32;
/** Bytes of a frame beyond whole MiB: a message has headers beside its payload. */
const FRAME_EXTRA = LONGEST_MESSAGE - LONGEST_FRAME_MIB * MIB;

/** The keys of the limits, at the top of the file. The most that they allow is what the gateway's own bounds assume. */
export const limitKeys = {
  "max-websockets": v.optional(whole(1, 4096, "WebSockets")),
  "max-websockets-per-address": v.optional(whole(1, 4096, "WebSockets")),
  "max-event-listeners": v.optional(whole(1, 1024, "readers of events")),
  "handshake-timeout": v.optional(time(1, 60)),
  "idle-timeout": v.optional(time(1, 600)),
  "max-header-kb": v.optional(whole(1, 64, "KiB")),
  "max-headers": v.optional(whole(16, 1000, "headers")),
  "max-frame-mb": v.optional(whole(2, LONGEST_FRAME_MIB, "MiB")),
};

type LimitKeys = v.InferOutput<ReturnType<typeof v.object<typeof limitKeys>>>;

/** The limits that a configuration file sets, with the defaults of those that it does not. */
export function limitsOf(keys: LimitKeys): GatewayLimits {
  return {
    webSockets: keys["max-websockets"] ?? 256,
    webSocketsPerAddress: keys["max-websockets-per-address"] ?? 64,
    eventListeners: keys["max-event-listeners"] ?? 64,
    handshakeTime: (keys["handshake-timeout"] ?? 10) * 1000,
    idleTime: (keys["idle-timeout"] ?? 5) * 1000,
    headerBytes: (keys["max-header-kb"] ?? 16) * KIB,
    headers: keys["max-headers"] ?? 100,
    frameBytes: (keys["max-frame-mb"] ?? LONGEST_FRAME_MIB) * MIB + FRAME_EXTRA,
  };
}
