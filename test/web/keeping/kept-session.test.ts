import * as assert from "uvu/assert";
import { nameOfSession } from "../../../web/keeping/kept-session.ts";
import { suite } from "../../harness.ts";

/* By what the sessions that a browser keeps are told apart. */
const tests = suite("the name of a kept session");

const nameOf = (endpoint: string) => nameOfSession(endpoint, "page.example");

tests("each gateway and each configuration has its own: a key goes to nobody else", () => {
  const names = [
    "wss://page.example/nbd/0",
    "wss://bmc1.example/nbd/0",
    "wss://bmc2.example/nbd/0",
    "wss://bmc2.example:8443/nbd/0",
    "wss://page.example/nbd?drive=1",
    "wss://page.example/nbd?drive=2",
  ].map(nameOf);
  assert.is(new Set(names).size, names.length, names.join());
});

tests("the page's own gateway has the same one through another tunnel", () => {
  assert.is(
    nameOfSession("ws://localhost:8080/0", "localhost:8080"),
    nameOfSession("ws://localhost:9090/0", "localhost:9090"),
  );
});

tests.run();
