/** The fixtures, read. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Conversation, parseConversation } from "../../src/transport/conversation.ts";
import { root } from "../harness.ts";

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
