/** The fixtures, read. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "../../src/nbd/constants.ts";
import { ProtocolError } from "../../src/nbd/error.ts";
import { ExtendedRequest, Request } from "../../src/nbd/messages.ts";
import { concat } from "../../src/streams/concat.ts";
import { type Conversation, parseConversation, type Side } from "../../src/transport/conversation.ts";
import { root } from "../harness.ts";
import type { Operation } from "./hostile.ts";

export interface Fixture {
  name: string;
  conversation: Conversation;
}

/** All recordings of a folder of fixtures/. */
export function readFixtures(folder: "clients" | "servers" | "hostile"): Fixture[] {
  const path = join(root, "fixtures", folder);
  return readdirSync(path)
    .filter((file) => file.endsWith(".nbd"))
    .map((file) => ({
      name: file.replace(/\.nbd$/, ""),
      conversation: parseConversation(readFileSync(join(path, file), "utf8")),
    }));
}

/** What a side says without waiting for the other one, in order. */
export function turnsOf(conversation: Conversation, side: Side): Uint8Array[] {
  const turns: Uint8Array[][] = [];
  let last: Side | undefined;
  for (const { from, bytes } of conversation) {
    if (from === side) {
      if (last !== side) turns.push([]);
      turns.at(-1)!.push(bytes);
    }
    last = from;
  }
  return turns.map((parts) => concat(parts));
}

/** What the client asks for in the transmission phase, but for the end of it. */
export function requestsOf(conversation: Conversation): Operation[] {
  const requests: Operation[] = [];
  for (const { bytes } of conversation.filter(({ from }) => from === "client")) {
    for (const header of [Request, ExtendedRequest]) {
      try {
        requests.push(header.decode(bytes));
      } catch (error) {
        // The other kind of request, an option, or the data of a WRITE.
        if (!(error instanceof ProtocolError || error instanceof RangeError)) throw error;
      }
    }
  }
  return requests.filter(({ type }) => type !== Command.DISC);
}
