import { suite } from "uvu";
import * as assert from "uvu/assert";
import { shownUrl, withShownUrls } from "../../src/transport/shown-url.ts";

const tests = suite("URLs as they are shown");

for (const [url, shown] of [
  ["ws://127.0.0.1:8000/", "ws://127.0.0.1:8000/"],
  ["wss://far.example/a/b", "wss://far.example/a/b"],
  ["wss://user:secret@far.example/a", "wss://far.example/a"],
  ["WSS://secret@far.example", "WSS://far.example"],
  ["wss://:secret@far.example:444/", "wss://far.example:444/"],
  ["wss://user:sec@ret@far.example/", "wss://far.example/"],
  ["wss://user:secret@[2001:db8::1]:444/cd", "wss://[2001:db8::1]:444/cd"],
  ["wss://[2001:db8::1]/", "wss://[2001:db8::1]/"],
  ["wss://user:se/cret@far.example/", "wss://far.example/"],
  ["wss://user:se?cret@far.example/", "wss://far.example/"],
  ["wss://user:se#cret@far.example/", "wss://far.example/"],
  ["wss://user:secret\\@far.example/", "wss://far.example/"],
  ["wss://user:se cret@far.example/", "wss://far.example/"],
  ["ws://far.example/a@b", "ws://far.example/a@b"],
  ["ws://far.example/?token=secret&x", "ws://far.example/?…"],
  ["ws://far.example?secret", "ws://far.example?…"],
  ["ws://far.example/#secret", "ws://far.example/"],
  ["ws://far.example/?a@b#c@d", "ws://far.example/?…"],
  ["//user:secret@far.example/", "//far.example/"],
  ["ws:///user:secret@far.example/a", "ws://far.example/a"],
  ["ws://\\user:secret@far.example/a", "ws://far.example/a"],
  ["ws:/user:secret@far.example/a", "far.example/a"],
  ["user:secret@far.example/a", "far.example/a"],
  ["w\ts://user:secret@far.example/a", "far.example/a"],
  ["file:///a/b", "file:///a/b"],
  ["/path", "/path"],
  ["image.iso", "image.iso"],
  ["", ""],
] as const) {
  tests(JSON.stringify(url), () => {
    assert.is(shownUrl(url), shown);
    if (/^\w+:\/\//.test(url))
      assert.not.match(withShownUrls(`at <${url}>: no`), /secret@|=secret|[?#]secret/);
  });
}

tests("a URL object, and a text with several URLs", () => {
  assert.is(shownUrl(new URL("wss://user:secret@far.example/?a")), "wss://far.example/?…");
  assert.is(
    withShownUrls('"ws://a:secret@x/" and https://b:secret@y/z?t=secret, but not a:b@c'),
    '"ws://x/" and https://y/z?…, but not a:b@c',
  );
  const line = "ws://far.example/?…: the other side has gone";
  assert.is(withShownUrls(line), line);
});

tests.run();
