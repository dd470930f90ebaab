/** nginx, as a reverse proxy with the gateway under a path of its own, and as a server of files. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Pair } from "./certificates.ts";
import { type Running, type Sandbox, until } from "./harness.ts";
import { freePort } from "./websocketd.ts";

/** For the gateway to see that requests come from its own page. */
export const HOST = "proxy_set_header Host $http_host;";

/** For WebSockets. */
const UPGRADE = `proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;`;

/** Where a gateway is under a path, with these lines; default: what it needs without TLS. */
export const locationOf = (gateway: string, lines = [HOST, UPGRADE]) =>
  ["location /vm/ {", `proxy_pass ${gateway};`, ...lines, "}"].join("\n");

/**
 * Starts Debian's nginx, and returns where the gateway's page is.
 * @param location of the path /vm/
 */
export async function startNginx(sandbox: Sandbox, location: string): Promise<string> {
  const port = await freePort();
  await runNginx(sandbox, port, `server { listen 127.0.0.1:${port}; ${location} }`);
  return `http://127.0.0.1:${port}/vm/`;
}

/** Starts it with the servers of an example, which are told other ports and this certificate. */
export async function startNginxExample(
  sandbox: Sandbox,
  example: string,
  { certFile, keyFile }: Pair,
): Promise<{ url: string; plainUrl: string }> {
  const port = await freePort();
  const plainPort = await freePort();
  const replaced: readonly (readonly [string, string])[] = [
    ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
    ["listen 80;", `listen 127.0.0.1:${plainPort};`],
    ["/etc/ssl/console.example.pem", certFile],
    ["/etc/ssl/private/console.example.key", keyFile],
  ];
  let servers = example;
  for (const [from, to] of replaced) {
    if (!servers.includes(from)) throw new Error(`the example has no ${from}`);
    servers = servers.replace(from, () => to);
  }
  await runNginx(sandbox, port, servers);
  return { url: `https://localhost:${port}/vm/`, plainUrl: `http://127.0.0.1:${plainPort}/vm/` };
}

export interface FileServerOptions {
  /** Default: one that is free. */
  port?: number;
  /** Default: no TLS. */
  pair?: Pair;
  /** More lines of its configuration. */
  lines?: readonly string[];
}

/** Starts it as a server of the files in a folder, and returns their URL, which ends with "/". */
export async function startFileServer(
  sandbox: Sandbox,
  folder: string,
  { port, pair, lines = [] }: FileServerOptions = {},
): Promise<Running & { url: string; port: number }> {
  const at = port ?? (await freePort());
  const all = [
    `listen 127.0.0.1:${at}${pair ? " ssl" : ""};`,
    `root ${folder};`,
    ...lines,
    ...(pair ? [`ssl_certificate ${pair.certFile};`, `ssl_certificate_key ${pair.keyFile};`] : []),
  ];
  const running = await runNginx(sandbox, at, `server { ${all.join(" ")} }`);
  return Object.assign(running, { url: `${pair ? "https" : "http"}://127.0.0.1:${at}/`, port: at });
}

/** nginx with the files of a folder. */
export interface FileServer {
  readonly origin: string;
  /** Ends it, with all connections. */
  stop(): Promise<void>;
  /** Starts it again, at the same port. */
  start(): Promise<void>;
}

/** Starts nginx with the files of a folder, to be ended and started again. */
export async function startFileNginx(sandbox: Sandbox, folder: string): Promise<FileServer> {
  let running = await startFileServer(sandbox, folder);
  const { port } = running;
  return {
    origin: `http://127.0.0.1:${port}`,
    async stop() {
      running.kill("SIGTERM");
      await running.exit;
    },
    async start() {
      running = await startFileServer(sandbox, folder, { port });
    },
  };
}

async function runNginx(sandbox: Sandbox, port: number, servers: string): Promise<Running> {
  const config = sandbox.path(`nginx-${port}.conf`);
  await writeFile(
    config,
    `daemon off;
master_process off;
pid ${sandbox.path(`nginx-${port}.pid`)};
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${sandbox.path("body")};
  proxy_temp_path ${sandbox.path("proxy")};
  fastcgi_temp_path ${sandbox.path("fastcgi")};
  uwsgi_temp_path ${sandbox.path("uwsgi")};
  scgi_temp_path ${sandbox.path("scgi")};
  ${servers}
}
`,
  );
  const running = sandbox.start("/usr/sbin/nginx", ["-e", "stderr", "-c", config]);
  running.exit.catch(() => {});
  await until("nginx listens", () => {
    if (running.process.exitCode !== null) throw new Error(running.stderr);
    return existsSync(sandbox.path(`nginx-${port}.pid`));
  });
  return running;
}
