import * as assert from "uvu/assert";
import { LinkError, ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import { linkEndOf } from "../../../src/node/session/link-end.ts";
import { suite } from "../../suite.ts";

const tests = suite("how a link has ended");
const broken = new LinkError("the connection broke");

for (const code of [1000, 1005]) {
  tests(`close code ${code} is an end that the other side wanted`, () => {
    assert.is(linkEndOf(undefined, code), "ejected");
    assert.is(linkEndOf(broken, code), "ejected");
  });
}

for (const code of [1001, 1006, 1011, 1012, 1013, 1014, 4004]) {
  tests(`close code ${code} is a loss, whether anything was outstanding or not`, () => {
    assert.is(linkEndOf(undefined, code), "lost");
    assert.is(linkEndOf(broken, code), "lost");
  });
}

for (const code of [1002, 1003, 1007, 1008, 1009, 4000, 4001, 4003]) {
  tests(`close code ${code} is a failure: the next link would have it again`, () => {
    assert.is(linkEndOf(undefined, code), "failed");
  });
}

tests("a transport without close codes was lost if it broke, and ejected if it ended in order", () => {
  assert.is(linkEndOf(broken, undefined), "lost");
  assert.is(linkEndOf(undefined, undefined), "ejected");
});

tests("what was wrong in the conversation is a failure, whatever the connection did then", () => {
  for (const code of [undefined, 1000, 1006]) {
    assert.is(linkEndOf(new ProtocolError("the magic is wrong"), code), "failed");
    assert.is(linkEndOf(new RefusedError("refused"), code), "failed");
  }
});

tests.run();
