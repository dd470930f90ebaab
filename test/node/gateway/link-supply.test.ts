import * as assert from "uvu/assert";
import type { BegunHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { LinkSupply } from "../../../src/node/gateway/link-supply.ts";
import type { BegunLink } from "../../../src/node/session/links.ts";
import { suite } from "../../suite.ts";

const tests = suite("the supply of links of a session");

function link(refusals: unknown[]): BegunLink {
  return {
    handshake: {} as BegunHandshake,
    connection: {
      address: "",
      silence: 0,
      received: 0,
      sent: 0,
      closeCode: undefined,
      isAlive: async () => true,
    },
    succession: new Error("another one came"),
    refuse: (reason) => refusals.push(reason),
  };
}

const never = new AbortController().signal;

tests("a link that nobody has asked for yet is refused in favour of the next", async () => {
  const refusals: unknown[] = [];
  const first = link([]);
  const supply = new LinkSupply(first);
  assert.is(await supply.links(never), first);
  const [second, third] = [link(refusals), link([])];
  supply.offer(second);
  supply.offer(third);
  assert.equal(refusals, [third.succession]);
  assert.is(await supply.links(never), third);
});

tests(
  "at the end of the session no link is left waiting, whether it came before or comes after",
  async () => {
    const refusals: unknown[] = [];
    const supply = new LinkSupply(link([]));
    await supply.links(never);
    supply.offer(link(refusals));
    const reason = new Error("the session has ended");
    supply.end(reason);
    supply.offer(link(refusals));
    assert.equal(refusals, [reason, reason]);
  },
);

tests.run();
