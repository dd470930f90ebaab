import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { sampled } from "../../../src/export/samples.ts";
import { type BegunHandshake, beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import { serveClient } from "../../../src/nbd/server/nbd-server.ts";
import { newWord } from "../../../src/nbd/word.ts";
import type { BegunLink } from "../../../src/node/session/links.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { sequence } from "../../bytes.ts";

export const NONCE = newWord();
export const BYTES = sequence(1 << 16);

/** A link to a server, with what is done to it. */
export interface Offered extends BegunLink {
  handshake: BegunHandshake;
  refusals: Error[];
  /** Settles when its transport is over. */
  closed: Promise<void>;
}

/** A link to a server that has introduced itself. */
export async function offered(target: Export = memoryExport(BYTES.slice())): Promise<Offered> {
  const [near, far] = transportPair();
  const introduction = introducing({
    answer: async ({ nonce }) => ({
      ...{ name: "disk", size: target.size, modified: 1, incarnation: "one" },
      ...{ samples: await sampled(memoryExport(BYTES), nonce), proof: undefined, changed: undefined },
    }),
    keep: () => {},
  });
  serveClient(far, target, { introduction }).catch(() => {});
  const handshake = await beginHandshake(near, { introduce: { nonce: NONCE, wait: 300 } });
  const refusals: Error[] = [];
  return {
    handshake,
    connection: {
      address: "",
      silence: 0,
      received: 0,
      sent: 0,
      closeCode: undefined,
      isAlive: async () => true,
    },
    succession: new Error("another one came"),
    refusals,
    closed: near.closed,
    refuse(reason) {
      refusals.push(reason);
      handshake.refuse(reason);
    },
  };
}
