/** Caddy, as a reverse proxy with TLS, and with the gateway under a path of its own. */
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Pair } from "./certificates.ts";
import { type Sandbox, until } from "./harness.ts";
import { freePort } from "./websocketd.ts";

/**
 * Starts Debian's Caddy, and returns where the gateway's page is.
 * @param site as the example has it, of console.example, which becomes localhost here
 */
export async function startCaddy(
  sandbox: Sandbox,
  site: string,
  { certFile, keyFile }: Pair,
): Promise<string> {
  const port = await freePort();
  const config = sandbox.path(`Caddyfile-${port}`);
  const beginning = `https://localhost:${port} {\n  bind 127.0.0.1\n  tls ${certFile} ${keyFile}\n`;
  await writeFile(
    config,
    `{
  admin off
  auto_https disable_redirects
}
${site.replace("console.example {\n", beginning)}`,
  );
  // Where it would keep what it is not asked to.
  const env = { HOME: sandbox.folder, XDG_DATA_HOME: sandbox.folder, XDG_CONFIG_HOME: sandbox.folder };
  const running = sandbox.start("caddy", ["run", "--adapter", "caddyfile", "--config", config], { env });
  running.exit.catch(() => {});
  await until("Caddy listens", async () => {
    if (running.process.exitCode !== null) throw new Error(running.stderr);
    return new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
    });
  });
  return `https://localhost:${port}/vm/`;
}
