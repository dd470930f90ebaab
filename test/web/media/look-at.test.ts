import * as assert from "uvu/assert";
import { lookAt, type UrlFault, urlFaultOf } from "../../../web/media/look-at.ts";
import { urlRemedy } from "../../../web/media/url-remedy.ts";
import { webFileAt } from "../../../web/serving/source.ts";
import { status, WebServer } from "../../export/http/web-server.ts";
import { suite } from "../../harness.ts";

/* What a card finds at an address. */
const tests = suite("the look at an address");

let web: WebServer;
tests.before.each(async () => {
  web = await WebServer.start();
});
tests.after.each(() => web.close());

async function faultAt(url: string): Promise<UrlFault> {
  try {
    await lookAt(url, new AbortController().signal);
  } catch (error) {
    return urlFaultOf(error);
  }
  throw new Error("there is no fault");
}

tests("the size of what is there, by one request for one byte", async () => {
  assert.is(await lookAt(web.url, new AbortController().signal), web.image.length);
  assert.equal(web.ranges, ["bytes=0-0"]);
});

tests("what is wrong, what can be done about it, and whether it may pass", async () => {
  web.next.push(status(404), status(401), status(403));
  const seen = [];
  for (let at = 0; at < 3; at++) {
    const { code, mayPass, fault } = await faultAt(`${web.url}?signature=secret`);
    seen.push([code, urlRemedy(code), mayPass]);
    assert.not.match(fault, /secret/);
  }
  assert.equal(seen, [
    ["not-found", "address", false],
    ["unauthorized", "login", false],
    ["forbidden", "new-signature", false],
  ]);
  web.always = (request, response) => {
    delete request.headers.range;
    web.part(request, response);
  };
  assert.is(urlRemedy((await faultAt(web.url)).code), "download");
  assert.is((await faultAt("no address")).code, "url");
});

tests("a fault that is none of a web server, such as a script that was not loaded, may pass", () => {
  const failed = Object.assign(new TypeError("Failed to fetch dynamically imported module"), { code: 20 });
  assert.equal(urlFaultOf(failed), { fault: failed.message, code: undefined, mayPass: true });
  assert.is(urlRemedy(undefined), "wait");
});

for (const [url, name] of [
  ["https://mirror.example/iso/disk%20one.iso?signature=disk.img#x", "disk one.iso"],
  ["https://mirror.example/iso/", "iso"],
  ["https://user:word@mirror.example:8443", "mirror.example:8443"],
  ["https://mirror.example/100%.img", "100%.img"],
  ["user:word@host/disk.iso", ""],
  ["secret", ""],
] as const) {
  tests(`${url} is called ${name === "" ? "nothing" : name}`, () => {
    const { size, ...file } = webFileAt(` ${url}\n`);
    assert.equal([file, size], [{ url, name }, 0]);
  });
}

tests.run();
