import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linkWindow, RELAY_WINDOW } from "../../../src/nbd/client/link-window.ts";
import { replyWeights } from "../../../src/nbd/client/reply-weight.ts";
import { Command } from "../../../src/nbd/constants.ts";
import type { Negotiated } from "../../../src/nbd/transmission.ts";
import { relayWindow } from "../../../src/node/relay-window.ts";

const tests = suite("what a server is asked for at most");

const KIB = 1 << 10;

/** How many of the longest READs fit in the window. */
function longestReads(wanted: Parameters<typeof linkWindow>[1], headers: Negotiated["headers"]): number {
  const { request, outstanding } = linkWindow(headers === undefined, wanted);
  const weights = replyWeights(headers ? { headers } : {}, request);
  return Math.floor(outstanding / weights.of({ type: Command.READ, flags: 0, length: request }));
}

for (const headers of [undefined, "structured", "extended"] as const) {
  tests(
    `${headers ?? "simple"} headers: a relay that is not known has room for four long READs, or two`,
    () => {
      assert.is(longestReads(relayWindow(true, 1 << 20), headers), 4);
      assert.is(longestReads(relayWindow(true), headers), 2);
    },
  );
}

tests("the longest request is what was wanted, except where another one nearly fits", () => {
  for (const [isOld, wanted, request] of [
    [false, {}, 256 * KIB],
    [false, RELAY_WINDOW, 124 * KIB],
    [true, RELAY_WINDOW, 128 * KIB],
    [true, { outstanding: RELAY_WINDOW.outstanding / 2 }, 128 * KIB],
    [false, { outstanding: 1 << 20, request: 128 * KIB }, 128 * KIB],
    [false, { outstanding: 1 << 15, request: 1 << 15 }, 28 * KIB],
    [false, { outstanding: 1 << 14, request: 1 << 12 }, 4 * KIB],
    [true, { outstanding: 1 << 17, request: 1 << 14 }, 16 * KIB],
  ] as const) {
    assert.is(linkWindow(isOld, wanted).request, request, JSON.stringify({ isOld, wanted }));
  }
});

tests("whatever is wanted, one request fits with its headers", () => {
  for (let outstanding = 1 << 14; outstanding <= 1 << 23; outstanding = Math.ceil(outstanding * 1.1)) {
    for (let request = 1 << 12; request <= 1 << 23; request *= 2) {
      for (const isOld of [false, true]) {
        const window = linkWindow(isOld, { outstanding, request });
        assert.ok(window.request > 0 && window.request <= request, JSON.stringify({ outstanding, request }));
        assert.ok(window.request + 44 <= window.outstanding && window.outstanding <= outstanding);
      }
    }
  }
});

tests.run();
