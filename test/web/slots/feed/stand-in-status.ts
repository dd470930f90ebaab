import type { ConfigurationStatus, StatusDocument } from "../../../../src/node/gateway/status/document.ts";

/** A free configuration, but for what a test says. */
export function configuration(name: string, change: Partial<ConfigurationStatus> = {}): ConfigurationStatus {
  return {
    name,
    isDefault: false,
    state: "free",
    where: "unix socket",
    isReadOnly: false,
    allowsTakeOver: true,
    session: null,
    lastError: null,
    ...change,
  };
}

/** The status of a gateway with these configurations. */
export function statusOf(...configurations: readonly ConfigurationStatus[]): StatusDocument {
  const gateway = { version: "1.2.3", host: "far", startedAt: "2026-11-29T10:00:00.000Z", uptime: 1 };
  return { version: 1, gateway, configurations };
}

/** A session of somebody, with what a page looks at. */
export function session(change: object = {}): NonNullable<ConfigurationStatus["session"]> {
  const whole = {
    id: "01234567",
    since: "2026-11-29T10:00:00.000Z",
    waitingUntil: null,
    medium: { name: "their.iso", size: 4096, isWritable: false },
    peer: { address: "192.0.2.7", source: null },
    link: { roundTrip: null, silence: null, received: 0, sent: 0, losses: 0 },
    requests: {},
    outstanding: 0,
    cache: { hits: 0, misses: 0 },
  };
  return { ...whole, ...change };
}
