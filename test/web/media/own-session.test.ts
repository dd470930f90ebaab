import * as assert from "uvu/assert";
import { OwnSession } from "../../../web/media/own-session.ts";
import { suite } from "../../harness.ts";

/* Which of the sessions that a gateway tells of is a card's. */
const tests = suite("a card's own session");

tests("whom the disk was taken from is not the card, though the gateway tells of it still", () => {
  const own = new OwnSession();
  own.look("theirs", undefined);
  own.begin("theirs", false);
  own.look("theirs", "connecting");
  own.look("theirs", "serving");
  assert.is(own.id, undefined);
  own.look("mine", "serving");
  assert.is(own.id, "mine");
});

tests("who takes the disk from the card is not the card, though its server has not heard of it", () => {
  const own = new OwnSession();
  own.begin(undefined, false);
  own.look("mine", "serving");
  own.look("theirs", "serving");
  assert.is(own.id, "mine");
});

tests("who has the disk while the link is lost is not the card", () => {
  const own = new OwnSession();
  own.begin(undefined, false);
  own.look("mine", "serving");
  own.look("mine", "reconnecting");
  own.look("theirs", "reconnecting");
  own.look("theirs", "failed");
  assert.is(own.id, "mine");
});

tests("a session that goes on is the card's, and so is the one that a link comes back to", () => {
  const own = new OwnSession();
  own.begin("mine", true);
  own.look("mine", "serving");
  assert.is(own.id, "mine");
  own.look("mine", "reconnecting");
  own.look("anew", "serving");
  assert.is(own.id, "anew");
});

tests("a card that serves again has another session", () => {
  const own = new OwnSession();
  own.begin(undefined, false);
  own.look("first", "serving");
  own.look("first", "ended");
  own.begin("first", false);
  assert.is(own.id, undefined);
  own.look("second", "serving");
  assert.is(own.id, "second");
});

tests.run();
