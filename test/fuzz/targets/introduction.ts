import { memoryExport } from "../../../src/export/memory.ts";
import { beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { Describer } from "../../../src/nbd/describe/describer.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import {
  type Introduction,
  introducedContext,
  introduceQuery,
  keyQuery,
  readIntroducedContext,
  readIntroduceQuery,
  readKeyQuery,
} from "../../../src/nbd/introduction.ts";
import { decodeName } from "../../../src/nbd/option/name.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { concat } from "../../../src/streams/concat.ts";
import { hex, toHex } from "../../bytes.ts";
import { serveBytes, talkTo } from "../../nbd/hostile.ts";
import { FLAGS, GREETING, number, option, optionReply } from "../../nbd/words.ts";
import { readInput, type Variant } from "../input.ts";

const [STRUCTURED, LIST_CONTEXT, EXTENDED] = ["00000008", "00000009", "0000000b"] as const;
const [ACK, META_CONTEXT] = ["00000001", "00000004"] as const;
const WORD = "AAECAwQFBgcICQoLDA0ODw";

const decoded = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

function expectSame(what: string, one: unknown, other: unknown): void {
  if (one !== other) throw new Error(`${what}: ${String(one)} is taken for ${String(other)}`);
}

/** The option that asks with one query. */
const asking = (query: Uint8Array) =>
  hex(option(LIST_CONTEXT, `00000000 00000001 ${number(query.byteLength, 8)} ${toHex(query)}`));

/** What is read as a query is written as the same; and the server answers it, and no other. */
async function asked(query: Uint8Array): Promise<void> {
  const text = decoded(query);
  const gateway = readIntroduceQuery(text);
  if (gateway) expectSame("an introduction of a gateway", text, introduceQuery(gateway));
  const key = readKeyQuery(text);
  if (key !== undefined) expectSame("a key", text, keyQuery(key));

  const told: string[] = [];
  const introduction = introducing({
    async answer({ nonce }) {
      told.push(nonce);
      const [name, samples, incarnation] = ["disk.img", new Uint8Array(8), nonce];
      return { name, size: 1, samples, incarnation, modified: 1, proof: undefined, changed: undefined };
    },
    keep: (kept) => void told.push(kept),
  });
  const server = nbdServer(memoryExport(new Uint8Array(1)), { introduction });
  await serveBytes(server, [hex(FLAGS), hex(option(STRUCTURED)), asking(query)]);
  expectSame("a query", gateway?.nonce ?? key, told[0]);
}

/** What is read as an introduction is written as the same; and a client takes it, or calls it a breach of the protocol. */
async function answered(context: Uint8Array): Promise<void> {
  const text = decodeName(context);
  const introduction = text === undefined ? undefined : readOrRefused(text);
  if (introduction) {
    const again = introducedContext(introduction);
    expectSame("an introduction", again, introducedContext(readIntroducedContext(again)));
  }

  let seen: Introduction | undefined;
  const messages = [
    hex(GREETING),
    hex(optionReply(EXTENDED, ACK)),
    hex(optionReply(LIST_CONTEXT, META_CONTEXT, `00000000 ${toHex(context)}`)),
    hex(optionReply(LIST_CONTEXT, ACK)),
  ];
  const { error } = await talkTo(messages, async (transport) => {
    const begun = await beginHandshake(transport, { introduce: { nonce: WORD, wait: 300 } });
    begun.provesKey(WORD);
    seen = begun.introduction;
    transport.close();
    return undefined;
  });
  if (introduction)
    expectSame("an introduction", introducedContext(introduction), seen && introducedContext(seen));
  else if (seen) throw new Error("a client took what is no introduction");
  else if (error && !(error instanceof ProtocolError)) throw error;
}

function readOrRefused(text: string): Introduction | undefined {
  try {
    return readIntroducedContext(text);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** A key that is asked to be kept does not show in what is described. */
async function described(query: Uint8Array): Promise<void> {
  const key = readKeyQuery(decoded(query));
  const describer = new Describer();
  const all = [hex(FLAGS), asking(query)].flatMap((bytes) => describer.push({ from: "client", bytes }));
  all.push(...describer.end());
  if (key === undefined) return;
  const masked = keyQuery("A".repeat(key.length));
  const said = decoded(concat(all.map(({ bytes }) => bytes)));
  if (!said.endsWith(masked)) throw new Error(`${key} is not masked in ${said}`);
}

const uses: Readonly<Record<Variant, (bytes: Uint8Array) => Promise<void>>> = {
  0: asked,
  1: described,
  2: answered,
  3: answered,
};

/** The text of a query, or of the name of a context. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  for (const bytes of chunks.slice(0, 16)) await uses[variant](bytes);
}
