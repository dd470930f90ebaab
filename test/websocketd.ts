/** websocketd, which runs a program for each WebSocket. */
import { createServer } from "node:net";
import { type Running, root, type Sandbox, until } from "./harness.ts";

/** A TCP port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (!address || typeof address === "string") throw new Error("there is no free port");
  return address.port;
}

export interface Websocketd extends Running {
  /** Where its page is. */
  readonly page: string;
  /** Where its WebSocket is. */
  readonly endpoint: string;
}

/** Starts websocketd with our page, as the README has it, for a command line. */
export async function startWebsocketd(sandbox: Sandbox, command: readonly string[]): Promise<Websocketd> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const running = sandbox.start("websocketd", [
    `--port=${port}`,
    "--address=127.0.0.1",
    "--sameorigin=true",
    `--staticdir=${root}/dist/web`,
    "--binary",
    ...command,
  ]);
  const page = `http://${address}/`;
  await until("websocketd listens", () =>
    fetch(page).then(
      (response) => response.ok,
      () => false,
    ),
  );
  return Object.assign(running, { page, endpoint: `ws://${address}/` });
}
