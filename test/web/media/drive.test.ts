import * as assert from "uvu/assert";
import { HttpError } from "../../../src/export/http/http-error.ts";
import type { ConfigurationStatus } from "../../../src/node/gateway/status/document.ts";
import type { FileHandle } from "../../../web/keeping/file-handle.ts";
import type { Refusal } from "../../../web/login/refusal.ts";
import { offersIn } from "../../../web/media/actions.ts";
import { Drive, type KeptPlace, type Note } from "../../../web/media/drive.ts";
import { type Holder, type Situation, toneOf } from "../../../web/media/situation.ts";
import { type Known, situationOf } from "../../../web/media/situation-of.ts";
import { type Source, webFileAt } from "../../../web/serving/source.ts";
import { suite, until } from "../../harness.ts";
import { StandIns } from "./stand-in-serving.ts";

/* What a card says and offers, from what its server reports and the gateway tells. */
const tests = suite("the drive of a card");

const host = "bmc.example";
const file = new File(["x".repeat(5000)], "disk.iso");
const NOT_ASKED = undefined;

const drives: Drive[] = [];

const url = "https://user:word@mirror.example/iso/disk%20one.iso?signature=s";

/** A web server that is asked, and answers as a test says. */
class Looks {
  readonly urls: string[] = [];
  readonly signals: AbortSignal[] = [];
  #answers: { resolve(size: number): void; reject(error: unknown): void }[] = [];

  readonly lookAt = (url: string, signal: AbortSignal): Promise<number> => {
    this.urls.push(url);
    this.signals.push(signal);
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  };

  async answer(answer: number | HttpError): Promise<void> {
    await until("it is asked", () => this.#answers.length > 0);
    const { resolve, reject } = this.#answers.shift()!;
    if (typeof answer === "number") resolve(answer);
    else reject(answer);
    await new Promise(setImmediate);
  }
}

// A drive that has a server, or waits for its file, keeps a timer.
tests.after.each(() => {
  for (const drive of drives.splice(0)) drive.end();
});

function scene({ refusal = NOT_ASKED as Refusal | undefined, protocols = [] as string[] } = {}) {
  const standIns = new StandIns();
  const looks = new Looks();
  const kept: string[] = [];
  const keptSources: Source[] = [];
  const notes: Note[] = [];
  const seen: string[] = [];
  const began: boolean[] = [];
  let logins = 0;
  let explanations = 0;
  const at = { endpoint: `ws://${host}/0` };
  const explained: string[] = [];
  const keeping: KeptPlace = {
    get: () => undefined,
    set: (key) => void kept.push(`set ${key}`),
    note: (isLast) => void kept.push(isLast ? "last note" : "note"),
    end: () => void kept.push("end"),
  };
  const drive: Drive = new Drive({
    get endpoint() {
      return at.endpoint;
    },
    ...{ protocols, cache: 1, retry: 2, maxMessage: 3, startServing: standIns.start },
    lookAt: looks.lookAt,
    keep: (source) => {
      keptSources.push(source);
      return keeping;
    },
    explain: async (endpoint) => {
      explained.push(endpoint);
      explanations++;
      return refusal;
    },
    onbegin: (isResumable) => void began.push(isResumable),
    onchange: () => void seen.push(now().kind),
    onreport: () => {},
    onnote: (note) => void notes.push(note),
    onlogin: () => void logins++,
  });
  drives.push(drive);
  const now = (more: Partial<Known> = {}): Situation =>
    situationOf({
      ...{ host, chosen: drive.chosen, run: drive.run, fault: drive.fault, awaited: drive.awaited },
      ...{ remote: undefined, ownSession: undefined, isHeldHere: false, ...more },
    });
  const offers = (more: Partial<Known> = {}) =>
    offersIn(now(more), { isRunning: drive.isRunning, isServable: drive.isServable, canEject: true })
      .filter(({ isEnabled }) => isEnabled)
      .map(({ label }) => label);
  const begin = () => {
    drive.choose(file, {});
    drive.serve();
    return standIns.last;
  };
  return {
    ...{ at, explained },
    ...{ drive, standIns, looks, kept, keptSources, notes, seen, began, now, offers, begin },
    logins: () => logins,
    explanations: () => explanations,
  };
}

const remote: ConfigurationStatus = {
  ...{
    name: "0",
    isDefault: true,
    state: "attached",
    where: "/dev/nbd0",
    isReadOnly: false,
    allowsTakeOver: true,
  },
  lastError: null,
  session: {
    ...{ id: "s1", since: "2026-11-29T14:05:09Z", waitingUntil: null, outstanding: 0 },
    medium: { name: "debian.iso", size: 1000, isWritable: false },
    peer: { address: "10.9.0.3", source: null },
    link: { roundTrip: null, silence: null, received: 0, sent: 0, losses: 0 },
    requests: {},
    cache: { hits: 0, misses: 0 },
  },
};

tests("from a file to green, which is said only after a read has succeeded", () => {
  const { drive, standIns, now, offers, kept } = scene();
  assert.is(now().kind, "free");
  assert.equal(offers(), []);
  drive.choose(file, {});
  assert.is(now().kind, "ready");
  assert.equal(offers(), ["serve"]);
  drive.serve();
  drive.serve();
  assert.is(standIns.all.length, 1, "one server at a time");
  const { options } = standIns.last;
  assert.is(options.file, file);
  const { endpoint, cache, retry, maxMessage } = options;
  assert.equal([endpoint, cache, retry, maxMessage], [`ws://${host}/0`, 1, 2, 3]);
  assert.is(now().kind, "connecting");
  assert.equal(offers(), ["eject"]);
  standIns.last.say({ state: "waiting", wasOpen: true });
  assert.is(now().kind, "waiting");
  standIns.last.say({ state: "serving", wasOpen: true });
  assert.is(now().kind, "attached");
  assert.is.not(toneOf(now()), "good");
  standIns.last.say({ state: "serving", wasOpen: true, lastReadAt: 5 });
  assert.equal(now(), { kind: "serving", host, gap: undefined });
  assert.is(toneOf(now()), "good");
  assert.ok(kept.includes("note"));
  standIns.last.say({
    state: "unreadable",
    wasOpen: true,
    lastReadAt: 5,
    lines: [{ at: 6, level: "error", text: "it was\nremoved" }],
  });
  assert.equal(now(), { kind: "unreadable", why: "It was removed", isWebFile: false });
  standIns.last.say({ state: "unreadable", wasOpen: true, lastReadAt: 5 });
  assert.equal(now(), { kind: "unreadable", why: "It was removed", isWebFile: false }, "the reason stays");
});

tests("an address is looked at, and what is there is served as a file is", async () => {
  const { drive, standIns, looks, now, offers, notes } = scene();
  drive.choose(webFileAt(` ${url} `), {});
  assert.equal(now(), { kind: "looking", host: "mirror.example" });
  assert.equal(offers(), [], "how long it is nobody knows yet");
  await looks.answer(5000);
  assert.equal(looks.urls, [url]);
  assert.is(now().kind, "ready");
  const file = { url, name: "disk one.iso", size: 5000 };
  assert.equal(notes, [{ kind: "chosen", file }]);
  drive.serve();
  assert.equal(standIns.last.options.file, file);
  standIns.last.say({ state: "serving", wasOpen: true, lastReadAt: 5 });
  assert.is(toneOf(now()), "good");
  const lines = [{ at: 6, level: "error", text: "it has another ETag" }] as const;
  standIns.last.say({ state: "unreadable", wasOpen: true, lastReadAt: 5, lines });
  assert.equal(now(), { kind: "unreadable", why: "It has another ETag", isWebFile: true });
});

tests("what is wrong with an address is told; it is tried again only if that may pass", async () => {
  const { drive, looks, now, offers, notes, standIns } = scene();
  drive.choose(webFileAt(url), {});
  await looks.answer(new HttpError("cors", "the server does not let this page read"));
  const why = "The server does not let this page read";
  assert.equal(now(), { kind: "bad-url", why, remedy: "header", isTriedAgain: false });
  drive.serve();
  assert.equal([offers(), standIns.all.length, notes.length], [[], 0, 1]);
  drive.choose(webFileAt(url), {});
  await looks.answer(new HttpError("unreachable", "there is no answer", { mayPass: true }));
  assert.equal(now(), { kind: "bad-url", why: "There is no answer", remedy: "wait", isTriedAgain: true });
  await looks.answer(5000);
  assert.is(now().kind, "ready");
});

tests("what was asked for another address is not waited for", async () => {
  const { drive, looks, now } = scene();
  drive.choose(webFileAt("https://mirror.example/first.iso"), {});
  drive.choose(file, {});
  assert.ok(looks.signals[0]!.aborted);
  await looks.answer(1);
  assert.equal([now().kind, drive.chosen?.file], ["ready", file]);
});

tests("an address that is waited for is asked, and served as soon as it has answered", async () => {
  const { drive, standIns, looks, now, offers, keptSources } = scene();
  const waiting = { name: "disk one.iso", size: 5000, until: Date.now() + 60_000, handle: undefined };
  drive.awaited = { ...waiting, url };
  assert.equal(offers(), ["goOn"]);
  await drive.goOn();
  await looks.answer(5000);
  assert.is(standIns.all.length, 1);
  assert.equal(keptSources, [{ url, name: "disk one.iso", size: 5000 }], "for the next page");
  // A gateway that is away is not tried for ever.
  standIns.last.say({ state: "failed", failure: { words: "it could not be opened" } });
  await looks.answer(5000);
  assert.equal([standIns.all.length, now().kind], [1, "failed"]);
});

tests("what has changed at its address is served only when a person says so", async () => {
  const { drive, standIns, looks, now, offers } = scene();
  drive.awaited = { name: "disk one.iso", size: 5000, until: Date.now() + 60_000, handle: undefined, url };
  await drive.goOn();
  await looks.answer(5001);
  assert.equal([standIns.all.length, now().kind], [0, "interrupted"]);
  assert.ok(offers().includes("serve"));
});

tests("a link that is lost comes back, and how long it was away is told", async () => {
  const { begin, now } = scene();
  const serving = begin();
  serving.say({ state: "serving", wasOpen: true, lastReadAt: 1 });
  serving.say({ state: "reconnecting", wasOpen: true, lost: { at: 1000, until: 9000 } });
  assert.equal(now(), { kind: "lost", host, until: 9000 });
  serving.say({
    state: "serving",
    since: 5000,
    wasOpen: true,
    lastReadAt: 1,
    lost: { at: 1000, until: 9000 },
  });
  assert.equal(now(), { kind: "serving", host, gap: 4000 });
});

tests("a gateway that was killed does not answer a plain request either", async () => {
  const { begin, now, explanations } = scene({
    refusal: { words: "there is no answer", wantsLogin: false, isAnswered: false },
  });
  const serving = begin();
  const lost = { at: 1000, until: 9000 };
  serving.say({ state: "serving", wasOpen: true });
  for (let i = 0; i < 100; i++) serving.say({ state: "reconnecting", wasOpen: true, lost });
  await until("it was asked", () => now().kind === "gateway-gone");
  assert.equal(now(), { kind: "gateway-gone", host, until: 9000 });
  assert.is(explanations(), 1, "it is asked seldom");
  serving.say({ state: "failed", wasOpen: true, lost, failure: { words: "given up" } });
  assert.equal(now(), { kind: "gateway-gone", host, until: undefined });
});

tests("a link that did not come back is given up", async () => {
  const { begin, now, offers } = scene();
  const serving = begin();
  const lost = { at: 1000, until: 9000 };
  serving.say({ state: "reconnecting", wasOpen: true, lost });
  serving.say({ state: "failed", wasOpen: true, lost, failure: { words: "given up\u202e2 s after" } });
  assert.equal(now(), { kind: "given-up", host, why: "Given up 2 s after" });
  assert.equal(offers(), ["serveAgain"]);
});

tests("an eject by the other side, and one by this page, are two things", () => {
  const { begin, now, drive, offers, kept } = scene();
  begin().say({ state: "ended", wasOpen: true });
  assert.equal(now(), { kind: "ejected", host });
  assert.equal(offers(), ["serveAgain"]);
  drive.serve();
  const again = begin();
  drive.stop();
  assert.is(now().kind, "stopping");
  assert.equal(offers(), []);
  assert.equal(again.asked, ["stop"]);
  again.say({ state: "ended", wasOpen: true });
  assert.equal(now(), { kind: "stopped", isAwaited: false, wasThere: false });
  assert.is(kept.filter((one) => one === "end").length, 2);
});

tests("after an eject nobody is told that plain requests are answered", async () => {
  const { begin, now, notes, explanations } = scene({
    refusal: { words: "a plain request is answered", wantsLogin: false, isAnswered: true },
  });
  begin().say({ state: "ended", wasOpen: true });
  await until("it was asked", () => explanations() === 1);
  await Promise.resolve();
  assert.is(now().kind, "ejected");
  assert.equal(
    notes.filter(({ kind }) => kind === "plain-request"),
    [],
  );
});

tests("a refusal says what a plain request was answered; a login is asked for, and goes on", async () => {
  const { begin, now, logins, drive, standIns } = scene({
    refusal: { words: "401 Unauthorized", wantsLogin: true, isAnswered: true },
  });
  begin().say({ state: "failed", failure: { words: "the WebSocket could not be opened" } });
  await until("it was asked", () => logins() === 1);
  assert.equal(now(), {
    ...{ kind: "refused", why: "The WebSocket could not be opened: 401 Unauthorized", wantsLogin: true },
  });
  drive.wake();
  assert.is(standIns.all.length, 2);
  drive.wake();
  assert.equal(standIns.last.asked, ["protocols ", "wake"]);
});

for (const [code, kind, offered] of [
  [4002, "in-use", ["serveAgain", "takeOver"]],
  [4001, "taken-over", ["serveAgain", "takeOver"]],
  [4003, "another-medium", ["serve", "serveInstead"]],
] as const) {
  tests(`close code ${code} is ${kind}, and asks for the place with the subprotocol for that`, async () => {
    const { begin, now, offers, drive, standIns, kept } = scene();
    begin().say({
      state: "failed",
      wasOpen: true,
      failure: { words: "closed", code, reason: "by\u202e10.9.0.3" },
    });
    const situation = now() as { kind: string; why: string };
    assert.equal([situation.kind, situation.why], [kind, "By 10.9.0.3"]);
    assert.equal(offers(), offered);
    assert.is(kept.includes("set undefined"), code === 4001, "there is nothing to go on with");
    drive.serve({ takeOver: true });
    assert.equal(standIns.last.options.protocols, ["nbd", "take-over"]);
  });
}

tests("with a login the subprotocols are its own", () => {
  const { drive, standIns } = scene({ protocols: ["nbd", "token.x"] });
  drive.choose(file, {});
  drive.serve({ takeOver: true });
  assert.equal(standIns.last.options.protocols, ["nbd", "token.x", "take-over"]);
});

tests("a file that cannot be read is not served, and is the cause where it was", async () => {
  const { drive, now, offers, standIns, notes } = scene();
  let isBroken = true;
  const broken = new File(["x".repeat(9000)], "disk.iso");
  const { slice } = broken;
  broken.slice = (...range) => {
    if (isBroken) throw new Error("it is gone");
    return slice.apply(broken, range);
  };
  drive.choose(broken, {});
  drive.serve();
  assert.is(standIns.all.length, 0);
  assert.equal([now(), offers()], [{ kind: "bad-file", why: "it is gone" }, []]);
  assert.is(notes.filter(({ kind }) => kind === "cannot-read").length, 1);
  isBroken = false;
  await until("it is read", () => now().kind === "ready");
  assert.equal(offers(), ["serve"]);
  drive.end();
});

tests("a server that failed before it connected, as the file was gone, is no refusal", async () => {
  const { drive, standIns, now, offers } = scene();
  drive.choose(file, {});
  await until("it was read", () => drive.chosen?.look === "read");
  const { arrayBuffer } = Blob.prototype;
  drive.serve();
  try {
    Blob.prototype.arrayBuffer = async () => {
      throw new Error("it is gone");
    };
    standIns.last.say({ state: "failed", failure: { words: "it is gone" } });
    await until("it is looked at", () => now().kind === "bad-file");
    assert.equal(offers(), []);
  } finally {
    Blob.prototype.arrayBuffer = arrayBuffer;
  }
  await until("it is back", () => now().kind === "ready");
  drive.end();
});

tests("a folder is refused", () => {
  const { drive, now, offers, standIns } = scene();
  drive.choose(new File([], "folder"), { isFolder: true });
  drive.serve();
  assert.equal([now().kind, offers(), standIns.all.length], ["folder", [], 0]);
});

tests("what is waited for is served when it is chosen, anything else is not", () => {
  const { drive, standIns, now, offers } = scene();
  drive.awaited = { name: "disk.iso", size: 5000, until: Date.now() + 60_000, handle: undefined };
  assert.is(now().kind, "interrupted");
  assert.equal(offers(), []);
  drive.choose(new File(["y"], "other.iso"), {});
  assert.is(standIns.all.length, 0);
  drive.choose(file, {});
  assert.is(standIns.all.length, 1);
  standIns.last.say({ state: "serving", wasOpen: true });
  assert.is(drive.awaited, undefined);
  drive.end();
});

tests("it goes on with the file that the browser has kept", async () => {
  const { drive, standIns, offers } = scene();
  const handle = { kind: "file" as const, getFile: async () => file };
  drive.awaited = { name: "disk.iso", size: 5000, until: Date.now() + 60_000, handle };
  assert.equal(offers(), ["goOn"]);
  await drive.goOn();
  assert.is(standIns.last.options.file, file);
  drive.end();
});

tests("what waits is forgotten when its time is over", async () => {
  const { drive, now } = scene();
  drive.awaited = { name: "disk.iso", size: 5000, until: Date.now() + 20, handle: undefined };
  await until("it is forgotten", () => now().kind === "free");
});

tests("somebody else has the place: who, since when, which image", () => {
  const { now, offers, drive } = scene();
  const held = now({ remote });
  assert.is(held.kind, "held");
  const { holder } = held as Extract<Situation, { kind: "held" }>;
  assert.equal(
    [holder.address, holder.since, holder.size],
    ["10.9.0.3", Date.parse(remote.session!.since), 1000],
  );
  assert.equal(offers({ remote }), ["eject"]);
  const peer = { address: null, source: "https://mirror.example/iso/debian.iso" };
  const pulled = now({ remote: { ...remote, session: { ...remote.session!, peer } } });
  assert.is((pulled as Situation & { holder: Holder }).holder.address, "mirror.example");
  drive.choose(file, {});
  assert.equal(offers({ remote }), ["takeOver", "eject"]);
  assert.equal(offers({ remote: { ...remote, allowsTakeOver: false } }), ["eject"]);
  assert.is(now({ remote, ownSession: "s1" }).kind, "ready", "its own session is nobody else's");
});

tests("after an end somebody else's session is news, and a place that is free again is offered", () => {
  const { begin, now, offers } = scene();
  const serving = begin();
  serving.say({ state: "ended", wasOpen: true });
  assert.is(now({ remote, ownSession: "s1" }).kind, "ejected");
  assert.is(now({ remote, ownSession: "s0" }).kind, "held");
  const again = scene();
  again.begin().say({ state: "failed", failure: { words: "closed", code: 4002, reason: "in use" } });
  assert.is(again.now({ remote }).kind, "in-use");
  const free = { ...remote, state: "free" as const, session: null };
  assert.is(again.now({ remote: free }).kind, "ready");
  assert.equal(offers(), ["serveAgain"]);
});

tests("the last failure of a free place is told", () => {
  const { now } = scene();
  const lastError = { words: "the device\u202eis busy", at: "2026-11-29T14:05:09Z" };
  const free = { ...remote, state: "free" as const, session: null, lastError };
  assert.equal(now({ remote: free }), {
    ...{ kind: "free", lastError: { words: "the device is busy", at: Date.parse(lastError.at) } },
  });
});

tests("what cannot begin fails in words, and holds nothing", () => {
  const { drive, now, kept, standIns } = scene();
  Object.defineProperty(standIns, "start", { value: undefined });
  const at = scene();
  at.drive.choose(file, {});
  const { all } = at.standIns;
  all.push = () => {
    throw new Error("the endpoint is no URL");
  };
  at.drive.serve();
  assert.equal(at.now(), { kind: "failed", why: "The endpoint is no URL" });
  assert.equal(at.kept, ["end"]);
  assert.not(drive.isRunning);
  assert.equal([now().kind, kept], ["free", []]);
});

tests("a login goes on with what was refused, and not with what was only chosen after it", async () => {
  const { begin, logins, drive, standIns, now } = scene({
    refusal: { words: "401 Unauthorized", wantsLogin: true, isAnswered: true },
  });
  begin().say({ state: "failed", failure: { words: "no WebSocket" } });
  await until("it was asked", () => logins() === 1);
  drive.choose(new File(["other"], "other.iso"), {});
  drive.wake();
  assert.equal([standIns.all.length, now().kind], [1, "ready"]);
});

tests("what was asked for before its end serves nothing after it", async () => {
  const { drive, standIns, now } = scene();
  let give = (_file: File) => {};
  const handle: FileHandle = { kind: "file", getFile: () => new Promise((resolve) => (give = resolve)) };
  drive.awaited = { name: file.name, size: file.size, until: Date.now() + 60_000, handle };
  const going = drive.goOn();
  await new Promise(setImmediate);
  drive.end();
  give(file);
  await going;
  // A file that was dropped, or picked, before.
  drive.choose(file, { handle });
  drive.serve();
  assert.is(standIns.all.length, 0);
  drive.begin();
  assert.is(now().kind, "interrupted");
  drive.serve();
  assert.is(standIns.all.length, 1);
});

tests("what waits is forgotten in time, though its card was away meanwhile", async () => {
  const { drive, now } = scene();
  drive.awaited = { name: file.name, size: file.size, until: Date.now() + 20, handle: undefined };
  drive.end();
  drive.begin();
  await until("it is forgotten", () => now().kind === "free");
});

tests("what was served and is ejected here is said to be there no more", () => {
  const { begin, now, drive } = scene();
  const serving = begin();
  serving.say({ state: "serving", wasOpen: true });
  drive.stop();
  serving.say({ state: "ended", wasOpen: true });
  assert.equal(now(), { kind: "stopped", isAwaited: false, wasThere: true });
});

tests("what fails here before there is a link is not called refused", () => {
  const { begin, now } = scene();
  begin().say({ state: "failed", failure: { words: "the script could not be loaded" } });
  assert.is(now().kind, "failed");
});

tests("it is asked about where it serves, though the endpoint is another one meanwhile", async () => {
  const { begin, drive, at, explained } = scene();
  const serving = begin();
  const { endpoint } = at;
  at.endpoint = "ws://other.example/0";
  serving.say({ state: "reconnecting", wasOpen: true });
  assert.equal([drive.run?.endpoint, explained], [endpoint, [endpoint]]);
  serving.say({ state: "ended", wasOpen: true });
});

tests("only what waits for its file may go on with the session that is there", () => {
  const { begin, drive, standIns, began } = scene();
  begin().say({ state: "failed", wasOpen: true, failure: { words: "closed", code: 4001 } });
  drive.serve({ takeOver: true });
  standIns.last.say({ state: "failed", wasOpen: true, failure: { words: "closed", code: 4001 } });
  drive.awaited = { name: file.name, size: file.size, until: Date.now() + 60_000, handle: undefined };
  drive.serve({ takeOver: true });
  standIns.last.say({ state: "failed", wasOpen: true, failure: { words: "closed", code: 4001 } });
  drive.serve();
  assert.equal(began, [false, false, false, true]);
  drive.awaited = undefined;
});

tests("what it has begun ends with it", () => {
  const { begin, drive } = scene();
  const serving = begin();
  drive.end();
  assert.equal(serving.asked, ["stop"]);
});

tests.run();
