import { Command } from "../../../src/nbd/constants.ts";
import { askServer } from "../../nbd/hostile.ts";
import { readInput } from "../input.ts";

/** Everything that a server says, from its greeting on, to a client that reads a little or only looks. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  const script = variant % 2 === 0 ? [] : [{ type: Command.READ, offset: 0, length: 16 }];
  await askServer(chunks, script);
}
