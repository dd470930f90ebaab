/** What the fuzzer begins with: the parts of the fixtures that a target is given, or what is made for it, and a dictionary. */
import { memoryExport } from "../../src/export/memory.ts";
import { remoteExport } from "../../src/nbd/client/remote-export.ts";
import * as constants from "../../src/nbd/constants.ts";
import { transmission } from "../../src/nbd/server/layers.ts";
import { concat } from "../../src/streams/concat.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import type { Conversation, Message, Side } from "../../src/transport/conversation.ts";
import { record } from "../../src/transport/record.ts";
import { useRemote } from "../nbd/hostile.ts";
import { readFixtures } from "../nbd/recordings.ts";
import { httpSeeds, httpWords } from "./http-seeds.ts";
import { VARIANTS, type Variant, writeInput } from "./input.ts";
import { introductionSeeds, introductionWords } from "./introduction-seeds.ts";
import { information, script } from "./targets/replies.ts";

/** Longer ones say nothing new to a fuzzer, and take its time. */
const LONGEST = 4096;

interface Target {
  /** Whose bytes are fuzzed. */
  from: Side;
  /** What it is given of a recorded conversation. */
  part?(conversation: Conversation): Message[];
  /** What it is given besides, and words of its own for the dictionary. */
  seeds?: readonly Uint8Array[];
  words?: readonly string[];
}

/** One entry for each file in targets/. */
export const targets: Readonly<Record<string, Target>> = {
  transmission: { from: "client", part: (conversation) => split(conversation).transmission },
  "server-handshake": { from: "client", part: (conversation) => conversation },
  replies: { from: "server", part: (conversation) => split(conversation).transmission },
  "client-handshake": { from: "server", part: (conversation) => split(conversation).handshake },
  http: { from: "client", seeds: httpSeeds, words: httpWords },
  introduction: { from: "client", seeds: introductionSeeds, words: introductionWords },
};

/** The inputs to begin with, for one target. */
export async function seedsOf(name: string): Promise<Uint8Array[]> {
  const { from, part, seeds = [] } = targets[name]!;
  const conversations = readFixtures("clients")
    .concat(readFixtures("servers"))
    .map((fixture) => fixture.conversation);
  conversations.push(...(await Promise.all(VARIANTS.map(scripted))));
  const hostile = readFixtures("hostile").filter((fixture) => fixture.name.startsWith(`${name}-`));
  const parts = [
    ...(part ? conversations.map((conversation) => said(from, part(conversation))) : []),
    ...seeds,
    ...hostile.map(({ conversation }) => concat(conversation.map(({ bytes }) => bytes))),
  ];
  return parts.flatMap((all) => {
    const bytes = all.subarray(0, LONGEST);
    if (bytes.byteLength === 0) return [];
    return VARIANTS.map((variant) => writeInput(bytes, variant, variant === 0 ? 0 : variant * 7));
  });
}

/** Our own client that goes through the fuzzer's script at our own server, with what a variant of it has negotiated. */
async function scripted(variant: Variant): Promise<Conversation> {
  const conversation: Conversation = [];
  const [client, server] = transportPair();
  const negotiated = information[variant];
  const readOnly = (negotiated.flags & constants.TransmissionFlag.READ_ONLY) !== 0;
  const target = { ...memoryExport(new Uint8Array(1 << 14), { readOnly }), cache: async () => {} };
  const serving = join(server, transmission(target, negotiated));
  const recorded = record(client, "client", (message) => {
    conversation.push({ ...message, bytes: message.bytes.slice() });
  });
  await useRemote(remoteExport(negotiated, recorded, recorded, 0), script);
  await serving;
  return conversation;
}

/** Cuts a conversation before the client's first request. */
function split(conversation: Conversation): { handshake: Message[]; transmission: Message[] } {
  const first = conversation.findIndex(
    ({ from, bytes }) => from === "client" && requestMagics.has(bytes.subarray(0, 4).join()),
  );
  const at = first < 0 ? conversation.length : first;
  return { handshake: conversation.slice(0, at), transmission: conversation.slice(at) };
}

const requestMagics = new Set(
  Object.entries(constants)
    .filter(([name]) => /REQUEST_MAGIC$/.test(name))
    .map(([, value]) => bigEndian(Number(value), 4).join()),
);

function said(side: Side, conversation: Conversation): Uint8Array {
  return concat([
    ...conversation.filter(({ from }) => from === side).map(({ bytes }) => bytes),
    new Uint8Array(0),
  ]);
}

/** A target's own words, or the protocol's magics and the numbers of its tables, as libFuzzer's dictionaries have them. */
export function dictionary(name: string): string {
  const own = targets[name]!.words;
  if (own) return [...own.map((text) => word([...Buffer.from(text, "latin1")])), ""].join("\n");
  const words = new Set<string>();
  for (const value of Object.values(constants)) {
    if (typeof value === "bigint") words.add(word(bigEndian(value, 8)));
    else if (typeof value === "number") words.add(word(bigEndian(value, 4)));
    else if (typeof value === "object") {
      for (const number of Object.values(value)) {
        words.add(word(bigEndian(number, 4)));
        if (number <= 0xffff) words.add(word(bigEndian(number, 2)));
      }
    }
  }
  for (const length of [0xffff, 0x7fffffff, 0xffffffff]) words.add(word(bigEndian(length, 4)));
  return [...words, ""].join("\n");
}

function bigEndian(value: number | bigint, size: number): number[] {
  return Array.from({ length: size }, (_, i) =>
    Number((BigInt(value) >> BigInt(8 * (size - 1 - i))) & 0xffn),
  );
}

function word(bytes: number[]): string {
  return `"${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}"`;
}
