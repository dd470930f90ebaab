/** What a parser may ask for at a time, whatever the bytes: it is what a peer can make either side hold. */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { replyParsers } from "../../src/nbd/client/reply-parser.ts";
import { Command, MAX_PAYLOAD, Option } from "../../src/nbd/constants.ts";
import { receivedOption } from "../../src/nbd/option/option.ts";
import { receivedReply } from "../../src/nbd/option/option-reply.ts";
import { request } from "../../src/nbd/server/request-parser.ts";
import { concat } from "../../src/streams/concat.ts";
import type { Parser } from "../../src/streams/parse.ts";
import { hex } from "../bytes.ts";
import { judge } from "./hostile.ts";

const tests = suite("bounds");

/** The longest READ that is outstanding where a reply is parsed. */
const READ = 4096;
const outstanding = () => ({ type: Command.READ, flags: 0, cookie: 0n, offset: 0, length: READ });

/** An error's words, which may be longer than what was asked for. */
const LONGEST_CHUNK = 1 << 13;

/** Each parser of a message with a length of its own: how the message begins, and what it may ask for, in bytes. */
const parsers: Readonly<Record<string, { begin: string; most: number; parser(): Parser<unknown> }>> = {
  request: { begin: "25609513", most: MAX_PAYLOAD, parser: () => request(MAX_PAYLOAD) },
  "request to a read-only export": {
    begin: "25609513",
    most: 1 << 16,
    parser: () => request(MAX_PAYLOAD, true),
  },
  "simple reply": { begin: "67446698", most: READ, parser: replyParsers(outstanding) },
  "structured reply": {
    begin: "668e33ef 0001 0001 0000000000000000",
    most: LONGEST_CHUNK,
    parser: replyParsers(outstanding, { headers: "structured" }),
  },
  "extended reply": {
    begin: "6e8a278c 0001 0001 0000000000000000 0000000000000000",
    most: LONGEST_CHUNK,
    parser: replyParsers(outstanding, { headers: "extended" }),
  },
  option: { begin: "49484156454f5054", most: 1 << 16, parser: () => receivedOption() },
  "reply to an option": {
    begin: "0003e889045565a9 00000007",
    most: 1 << 14,
    parser: () => receivedReply(Option.GO),
  },
};

for (const [name, { begin, most, parser }] of Object.entries(parsers)) {
  tests(`property: ${name}: never asks for more than ${most} bytes`, () => {
    const word = fc.oneof(
      fc.constantFrom(0, 1, 6, READ + 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
      fc.nat(),
    );
    const words = fc.array(word, { minLength: 8, maxLength: 8 });
    let asked = 0;
    fc.assert(
      fc.property(words, (numbers) => {
        const header = concat([hex(begin), ...numbers.map((n) => hex(n.toString(16).padStart(8, "0")))]);
        const parsing = parser();
        let at = 0;
        try {
          // What is skipped may be long; its first pieces are enough.
          for (let step = parsing.next(), pieces = 0; !step.done && pieces < 20; pieces++) {
            assert.ok(step.value <= most, `${step.value} bytes were asked for`);
            asked = Math.max(asked, step.value);
            const bytes = new Uint8Array(step.value);
            bytes.set(header.subarray(at, at + step.value));
            at += step.value;
            step = parsing.next(bytes);
          }
        } catch (error) {
          judge(error);
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(asked >= 16, "it came to the lengths");
  });
}

tests.run();
