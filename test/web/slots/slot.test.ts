/** What there are cards for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newsIn, slotsOf } from "../../../web/slots/slot.ts";
import { configuration, session, statusOf } from "./feed/stand-in-status.ts";

const tests = suite("the cards of a page");

const offered = [
  { name: "cd", description: "A drive", isDefault: true, place: "/run/cd.sock" },
  { name: "usb", description: "", isDefault: false },
];

tests("behind a relay there is one for each that is offered, of which nothing is known", () => {
  assert.equal(slotsOf([{ name: "", description: "", isDefault: true }], undefined), [
    { name: "", description: "", isDefault: true, place: undefined, status: undefined },
  ]);
});

tests("what the gateway tells stands beside what it offers, in the gateway's order", () => {
  const usb = configuration("usb", { where: "/dev/nbd0" });
  const cd = configuration("cd", { isDefault: true });
  assert.equal(slotsOf(offered, statusOf(usb, cd)), [
    { name: "usb", description: "", isDefault: false, place: "/dev/nbd0", status: usb },
    { name: "cd", description: "A drive", isDefault: true, place: "/run/cd.sock", status: cd },
  ]);
});

tests("what has left the file and is served still has a card", () => {
  const old = configuration("old", { state: "attached", session: session() });
  const status = statusOf(configuration("cd", { isDefault: true }), configuration("usb"), old);
  assert.equal(
    slotsOf(offered, status).map(({ name }) => name),
    ["cd", "usb", "old"],
  );
  assert.is(newsIn(offered, status), undefined);
});

tests("other configurations than were offered are news, and each set of them is another", () => {
  const cd = configuration("cd", { isDefault: true });
  const usb = configuration("usb");
  assert.is(newsIn(offered, statusOf(cd, usb)), undefined);
  assert.is(newsIn(offered, statusOf({ ...cd, state: "attached", session: session() }, usb)), undefined);
  const words = [
    statusOf(cd),
    statusOf(cd, usb, configuration("new")),
    statusOf(configuration("cd"), configuration("usb", { isDefault: true })),
  ].map((status) => newsIn(offered, status));
  assert.not.ok(words.includes(undefined));
  assert.is(new Set(words).size, 3);
});

tests.run();
