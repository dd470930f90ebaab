import * as assert from "uvu/assert";
import { nameOfSession } from "../../../web/keeping/kept-session.ts";
import { suite } from "../../harness.ts";

/* What a browser keeps of a session, and by which name. */
const tests = suite("kept sessions");

tests("each place of each host has a name of its own, those of the page's host their path", () => {
  Object.defineProperty(globalThis, "location", { value: { host: "bmc.example:8000" }, configurable: true });
  const names = [
    "ws://bmc.example:8000/0",
    "ws://bmc.example/0",
    "wss://other.example/0",
    "wss://other.example/1",
  ];
  assert.equal(names.map(nameOfSession), [
    "nbd-proxy session /0",
    "nbd-proxy session bmc.example/0",
    "nbd-proxy session other.example/0",
    "nbd-proxy session other.example/1",
  ]);
  Reflect.deleteProperty(globalThis, "location");
});

tests.run();
