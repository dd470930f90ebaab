import { once } from "node:events";
import { createServer } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../src/node/connect.ts";
import { type LogInOptions, logIn } from "../../src/node/login/log-in.ts";
import { clientProof, gatewayProof } from "../../src/node/login/proof.ts";
import { failure } from "../bytes.ts";
import { within } from "../harness.ts";
import { newToken, StandInGateway, type StandInOptions } from "../stand-in-gateway.ts";

const tests = suite("log in");

/** Runs with a stand-in gateway, which is closed at the end. */
async function withGateway(options: StandInOptions, run: (gateway: StandInGateway) => Promise<void>) {
  const gateway = await new StandInGateway(options).listen();
  try {
    await within(20_000, "the test", run(gateway));
  } finally {
    gateway.close();
  }
}

/** How a login fails. Neither its words nor what was sent have anything of the token. */
async function faultAt(gateway: StandInGateway, options: LogInOptions = {}): Promise<string> {
  const { message } = await failure(logIn(`${gateway.url}#${gateway.token}`, options));
  assert.not.ok(message.includes(gateway.token), message);
  assert.not.ok(JSON.stringify(gateway.came).includes(gateway.token), "the token was sent");
  return message;
}

tests(
  "both sides prove that they know the token, which is never sent, and the session opens the WebSocket",
  () =>
    withGateway({ use: (socket) => socket.close() }, async (gateway) => {
      const { endpoint, session, logOut } = await logIn(`${gateway.url}local#${gateway.token}`);
      assert.is(endpoint, `${gateway.url.replace("http", "ws")}local`);
      assert.is(session, gateway.session);
      await connect(endpoint, { token: session, takeOver: true }).closed;
      await logOut();
      assert.equal(
        gateway.came.map(({ method, url }) => `${method} ${url}`),
        // No logout over plain HTTP: by then another program may have the port.
        ["POST /login", "POST /login", "GET /local"],
      );
      assert.not.ok(JSON.stringify(gateway.came).includes(gateway.token), "the token was sent");
      const [first, second, socket] = gateway.came;
      assert.is(first!.headers.host, gateway.host);
      assert.is(first!.headers.authorization, undefined);
      assert.is(second!.headers.authorization, undefined);
      assert.is(socket!.headers.authorization, `Bearer ${session}`);
      assert.is(socket!.headers["nbd-take-over"], "1");
    }),
);

tests("the doors are beside the configuration, under the prefix of a reverse proxy", () =>
  withGateway({ folder: "/vm" }, async (gateway) => {
    const { endpoint } = await logIn(`${gateway.url}local`, { token: gateway.token });
    assert.is(endpoint, `ws://${gateway.host}/vm/local`);
    assert.equal(
      gateway.came.map(({ url }) => url),
      ["/vm/login", "/vm/login"],
    );
  }),
);

tests("a gateway with another token is sent nothing more", () =>
  withGateway({}, async (gateway) => {
    const { message } = await failure(logIn(gateway.url, { token: newToken() }));
    assert.is(message, `${gateway.url} does not know the token: another program may hold the port`);
    assert.is(gateway.came.length, 1);
  }),
);

/** What was proved to another client, earlier. */
let earlier: object | undefined;

const unproven: Record<string, (gateway: { token: string }) => StandInOptions["login"]> = {
  "a proof of an earlier login":
    ({ token }) =>
    ({ nonce }, { headers }) => {
      const gatewayNonce = newToken();
      const subject = { authority: headers.host!, nonce: nonce!, gatewayNonce };
      const answer = { nonce: gatewayNonce, proof: gatewayProof(token, subject) };
      earlier ??= answer;
      return earlier;
    },
  "a proof for another host and port":
    ({ token }) =>
    ({ nonce }) => {
      const gatewayNonce = newToken();
      const subject = { authority: "127.0.0.1:1", nonce: nonce!, gatewayNonce };
      return { nonce: gatewayNonce, proof: gatewayProof(token, subject) };
    },
  "the proof of a client":
    ({ token }) =>
    ({ nonce }, { headers }) => {
      const gatewayNonce = newToken();
      const subject = { authority: headers.host!, nonce: nonce!, gatewayNonce };
      return { nonce: gatewayNonce, proof: clientProof(token, subject) };
    },
  "no proof": () => () => ({ nonce: newToken() }),
  "a proof that is not text": () => () => ({ nonce: newToken(), proof: 1 }),
  "a nonce that is a list":
    ({ token }) =>
    ({ nonce }, { headers }) => {
      const subject = { authority: headers.host!, nonce: nonce!, gatewayNonce: "a" };
      return { nonce: ["a"], proof: gatewayProof(token, subject) };
    },
  "a session at once": () => () => ({ session: `s.${newToken()}` }),
  "what is not an object": () => () => [null],
  "text in place of JSON": () => (_body, _request, response) => void response.end("<html>hello</html>"),
  "an endless answer": () => (_body, _request, response) => {
    response.on("error", () => {});
    const more = () => {
      if (!response.destroyed) response.write("x".repeat(10_000), () => setImmediate(more));
    };
    more();
    return undefined;
  },
};

for (const [what, login] of Object.entries(unproven)) {
  tests(`a gateway that answers with ${what} is sent nothing more`, () => {
    const token = newToken();
    return withGateway({ token, login: login({ token })! }, async (gateway) => {
      if (what.includes("earlier")) await logIn(gateway.url, { token }).catch(() => {});
      const before = gateway.came.length;
      const words = `${gateway.url} does not know the token: another program may hold the port`;
      assert.is(await faultAt(gateway), words);
      assert.is(gateway.came.length, before + 1);
    });
  });
}

for (const [what, status, headers, body, words] of [
  [
    "no login",
    404,
    {},
    "no",
    "there is no login (404); if that is meant, as with nbd-gateway --no-auth, use ws://HOST/",
  ],
  [
    "only GET",
    405,
    {},
    "no",
    "there is no login (405); if that is meant, as with nbd-gateway --no-auth, use ws://HOST/",
  ],
  [
    "a redirect",
    307,
    { Location: "https://user:secret@far.example/login?token=secret" },
    "",
    'the server answered 307 Temporary Redirect: it is at "https://far.example/login?…"',
  ],
  [
    "too many attempts",
    429,
    { "Content-Type": "application/json", "Retry-After": "42" },
    '{"error":"too many wrong tokens"}',
    'the server answered 429 Too Many Requests: "too many wrong tokens"; try again in 42 s',
  ],
  [
    "a refusal",
    403,
    {},
    "this host name is not allowed\n",
    'the server answered 403 Forbidden: "this host name is not allowed"',
  ],
] as const) {
  tests(`a server that answers with ${what}: the error says so`, () =>
    withGateway(
      {
        login(_body, _request, response) {
          response.writeHead(status, headers as Record<string, string>).end(body);
          return undefined;
        },
      },
      async (gateway) => {
        assert.is(
          await faultAt(gateway),
          `logging in at ${gateway.url}: ${words.replace("HOST", gateway.host)}`,
        );
        assert.is(gateway.came.length, 1);
      },
    ),
  );
}

tests("what is not a gateway's URL is refused before anything is sent, without its secrets", async () => {
  const token = newToken();
  for (const [url, words] of [
    ["ws://127.0.0.1/", '"ws://127.0.0.1/" is not an http:// or https:// URL'],
    ["http://", '"http://" is not an http:// or https:// URL'],
    ["https://far.example/", "https://far.example/: a token is needed to log in"],
    [
      "https://far.example/#secret",
      'https://far.example/: what follows "#" is not a token, of at least 43 characters',
    ],
    [
      `https://far.example/?token=${token}`,
      "https://far.example/?…: a token does not belong in a query, which servers log; write #TOKEN",
    ],
    [
      `https://user:secret@far.example/#${token}`,
      "https://far.example/: a user and a password cannot be sent beside the login",
    ],
    [
      `http://192.0.2.1/#${token}`,
      "http://192.0.2.1/: others on the way could read what is sent; use https://, or a tunnel of ssh",
    ],
  ] as const) {
    const error = await failure(logIn(url));
    assert.is(error.message, words);
    assert.is(error.name, "TypeError");
  }
});

tests("a server that says nothing is given up when the signal says so", async () => {
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const controller = new AbortController();
  const failed = failure(logIn(`http://127.0.0.1:${port}/#${newToken()}`, { signal: controller.signal }));
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason), 50);
  assert.is(await within(5000, "the end", failed), reason);
  silent.close();
});

tests("nobody answers: the error says where, without the token", async () => {
  const gateway = await new StandInGateway().listen();
  const { url, token } = gateway;
  gateway.close();
  const { message } = await failure(logIn(`${url}#${token}`));
  assert.is(message, `logging in at ${url}: nothing listens there`);
});

tests("a logout that nobody answers does not hold up the end", () =>
  withGateway({}, async (gateway) => {
    const { logOut } = await logIn(`${gateway.url}#${gateway.token}`);
    gateway.close();
    await within(2000, "the logout", logOut());
  }),
);

tests("a token goes to a relay as it is only where others cannot read it", () => {
  const token = newToken();
  for (const [url, options, words] of [
    [
      "ws://192.0.2.1/",
      {},
      "ws://192.0.2.1/: others on the way could read the token; use wss://, or a tunnel of ssh",
    ],
    [
      "wss://192.0.2.1/",
      { insecure: true },
      "wss://192.0.2.1/: insecure would give the token to anybody who answers",
    ],
    [
      "ws://user:secret@127.0.0.1/",
      {},
      "ws://127.0.0.1/: a user and a password cannot be sent beside a token",
    ],
  ] as const) {
    assert.throws(
      () => connect(url, { token, ...options }),
      (error: Error) => error.name === "TypeError" && error.message === words,
    );
  }
  assert.throws(() => connect("ws://127.0.0.1/", { token: "a\r\nb" }), /a header cannot carry the token/);
});

tests.run();
