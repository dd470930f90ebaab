/** What a page knows of a gateway's configurations, from a gateway that may go, be full, want a login, or be none. */
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { Feed } from "../../../../web/slots/feed/feed.ts";
import type { News } from "../../../../web/slots/feed/news.ts";
import { suite, until, within } from "../../../harness.ts";
import { configuration, session, statusOf } from "./stand-in-status.ts";

interface Context {
  server: Server;
  /** What is answered at a path; what is not here is 404. */
  answers: Map<string, RequestListener>;
  /** How often a path was asked for. */
  asked: Map<string, number>;
  /** The readers of events. */
  readers: ServerResponse[];
  news: News[];
  leaving: AbortController;
  /** Resolves when the feed has ended. */
  ended: Promise<void> | undefined;
  feed: Feed;
}

const tests = suite<Context>("what a gateway tells a page");

const TIMES = { least: 5, most: 20, poll: 5, polls: 2 };

tests.before.each(async (context) => {
  Object.assign(context, { answers: new Map(), asked: new Map(), readers: [], news: [] });
  context.server = createServer((request, response) => {
    const path = request.url!;
    context.asked.set(path, (context.asked.get(path) ?? 0) + 1);
    const answer = context.answers.get(path);
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => context.server.listen(0, "127.0.0.1", resolve));
  const { port } = context.server.address() as AddressInfo;
  context.leaving = new AbortController();
  context.feed = new Feed({
    base: `http://127.0.0.1:${port}/`,
    headers: () => ({ Authorization: "Bearer abc" }),
    onnews: (news) => context.news.push(news),
    times: TIMES,
  });
  context.answers.set("/events", (_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" }).flushHeaders();
    context.readers.push(response);
  });
});

tests.after.each(async (context) => {
  context.leaving.abort();
  context.server.closeAllConnections();
  await new Promise((resolve) => context.server.close(resolve));
  if (context.ended) await within(5000, "the end of the feed", context.ended);
});

function run(context: Context): Promise<void> {
  context.ended = context.feed.run(context.leaving.signal);
  return context.ended;
}

const told = (response: ServerResponse, name: string, data: unknown) =>
  response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

async function reader(context: Context, count = 1): Promise<ServerResponse> {
  await until(`reader ${count}`, () => context.readers.length >= count);
  return context.readers[count - 1]!;
}

const kinds = ({ news }: Context) => news.map(({ kind }) => kind);

/** The states of the configurations in the last news, by name. */
function states({ news }: Context): Record<string, string> {
  const last = news.at(-1);
  if (last?.kind !== "status") return {};
  return Object.fromEntries(last.document.configurations.map(({ name, state }) => [name, state]));
}

tests("the whole comes first, then each configuration that has changed", async (context) => {
  void run(context);
  const response = await reader(context);
  told(response, "status", statusOf(configuration("cd"), configuration("usb")));
  told(response, "configuration", configuration("usb", { state: "attached", session: session() }));
  told(response, "configuration", configuration("new", { state: "connecting", session: session() }));
  await until("all is told", () => context.news.length === 3);
  assert.equal(states(context), { cd: "free", usb: "attached", new: "connecting" });
  response.write(":\n\n");
  told(response, "status", statusOf(configuration("usb")));
  await until("the whole is told anew", () => context.news.length === 4);
  assert.equal(states(context), { usb: "free" });
});

tests("what is no status of a configuration changes nothing", async (context) => {
  void run(context);
  const response = await reader(context);
  told(response, "status", statusOf(configuration("cd")));
  for (const wrong of [null, 7, { name: "cd" }, { ...configuration("cd"), state: "eaten" }]) {
    told(response, "configuration", wrong);
  }
  response.write("event: configuration\ndata: {\n\n");
  told(response, "configuration", configuration("cd", { state: "ending", session: session() }));
  await until("what makes sense is told", () => states(context).cd === "ending");
  assert.equal(Object.keys(states(context)), ["cd"]);
});

tests(
  "events that end go on without a word; a gateway that is gone is told once it is missed",
  async (context) => {
    void run(context);
    const first = await reader(context);
    told(first, "status", statusOf(configuration("cd")));
    await until("the first status", () => context.news.length === 1);
    first.end();
    const second = await reader(context, 2);
    told(second, "status", statusOf(configuration("usb")));
    await until("the second status", () => context.news.length === 2);
    assert.equal(kinds(context), ["status", "status"]);
    context.answers.set("/events", (_request, response) => response.destroy());
    second.destroy();
    await until("it is told that it is gone", () => kinds(context).includes("lost"));
    assert.equal(context.news.at(-1), { kind: "lost" }, "the page says it in its language");
  },
);

tests("it comes back after any number of attempts", async (context) => {
  let count = 0;
  const events = context.answers.get("/events")!;
  context.answers.set("/events", (request, response) => {
    if (++count <= 4) response.writeHead(502, { "Content-Type": "text/plain" }).end("no gateway");
    else events(request, response);
  });
  void run(context);
  told(await reader(context), "status", statusOf(configuration("cd")));
  await until("it is back", () => kinds(context).at(-1) === "status");
  assert.equal(kinds(context), ["lost", "lost", "lost", "lost", "status"]);
  assert.is((context.news[0] as { words: string }).words, "502 Bad Gateway: no gateway");
});

tests(
  "where there is no room for one more reader it looks at the status, and asks for room again",
  async (context) => {
    const events = context.answers.get("/events")!;
    context.answers.set("/events", (_request, response) => response.writeHead(503).end());
    context.answers.set("/status", (_request, response) =>
      response
        .writeHead(200, { "Content-Type": "application/json" })
        .end(JSON.stringify(statusOf(configuration("cd")))),
    );
    void run(context);
    await until("it looks more than once", () => context.news.length >= 3);
    assert.equal(states(context), { cd: "free" });
    assert.ok(context.asked.get("/events")! >= 2, "room was asked for again");
    context.answers.set("/events", events);
    told(await reader(context), "status", statusOf(configuration("usb")));
    await until("it has room", () => states(context).usb !== undefined);
    assert.not.ok(kinds(context).includes("lost"));
  },
);

tests("it ends where a login is missing, and sends the one that there is", async (context) => {
  let sent: string | undefined;
  context.answers.set("/events", ({ headers }, response) => {
    sent = headers.authorization;
    response.writeHead(401, { "WWW-Authenticate": "Bearer" }).end();
  });
  await within(5000, "its end", run(context));
  assert.is(sent, "Bearer abc");
  assert.equal(kinds(context), ["locked"]);
});

tests("a proxy's own login is none of the gateway's: it is asked again", async (context) => {
  context.answers.set("/events", (_request, response) =>
    response.writeHead(401, { "WWW-Authenticate": "Basic" }).end(),
  );
  void run(context);
  await until("it was asked again", () => context.news.length >= 2);
  assert.equal(new Set(kinds(context)), new Set(["lost"]));
});

const servers: Record<string, (context: Context) => RequestListener | undefined> = {
  "a server that does not know the address": () => undefined,
  "a server that answers each address with a page": () => (_request, response) =>
    response.writeHead(200, { "Content-Type": "text/html" }).end("<h1>"),
  "a gateway whose status is of another version": () => (_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    told(response, "status", { ...statusOf(), version: 2 });
  },
};

for (const [what, answer] of Object.entries(servers)) {
  tests(`${what} has no events for this page: it ends`, async (context) => {
    const answered = answer(context);
    if (answered) context.answers.set("/events", answered);
    else context.answers.delete("/events");
    await within(5000, "its end", run(context));
    assert.equal(kinds(context), ["none"]);
    assert.is(context.asked.get("/events"), 1);
  });
}

tests("an abort ends it at once, whatever it waits for, and nothing is told any more", async (context) => {
  context.answers.set("/events", (_request, response) => response.destroy());
  void run(context);
  await until("it waits", () => context.news.length >= 1);
  context.leaving.abort();
  await within(5000, "its end in a pause", context.ended!);
  const { length } = context.news;
  context.leaving = new AbortController();
  let gone = false;
  context.answers.set("/events", (_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
    response.on("close", () => {
      gone = true;
    });
    context.readers.push(response);
  });
  void run(context);
  await reader(context);
  context.leaving.abort();
  await within(5000, "its end while it reads", context.ended!);
  await until("the gateway has lost its reader", () => gone);
  assert.is(context.news.length, length);
});

tests.run();
