import { once } from "node:events";
import { resolve } from "node:path";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { type Config, ConfigError, readConfig } from "../src/node/config/config.ts";
import { socketPermissionsOf } from "../src/node/config/gateway-keys.ts";
import { placeOf } from "../src/node/config/place-of.ts";
import { gateway } from "../src/node/gateway/gateway.ts";
import { chooseCertificates, tlsKeys } from "../src/node/gateway/tls/choose-certificates.ts";
import { tokenAccess } from "../src/node/login/access.ts";
import { defaultTokenFile, readToken, renewToken } from "../src/node/login/token-file.ts";
import { isLoopback } from "../src/node/loopback.ts";
import { handedOver } from "../src/node/systemd/handed-over.ts";
import { serviceManager } from "../src/node/systemd/service-manager.ts";
import { quoted } from "../src/streams/quoted.ts";
import { eject } from "./eject.ts";
import { gatewayConfig, namesWithout } from "./gateway-config.ts";
import { gatewayFlags } from "./gateway-flags.ts";
import { gatewayLog, isLogFormat } from "./gateway-log.ts";
import { init } from "./init.ts";
import { onSignals, type Program, readArguments, run } from "./program.ts";
import { reloading } from "./reloading.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";
import { printStatus, UNKNOWN } from "./status.ts";

const program: Program = {
  name: "nbd-gateway",
  help: `Usage: nbd-gateway [--config FILE] [--host 127.0.0.1] [--port 8000] [--token-file FILE | --no-auth]
                   [--tls-cert FILE --tls-key FILE | --tls-self-signed] [--behind-proxy ADDRESS]...
       nbd-gateway --init [FOLDER]
       nbd-gateway --new-token [--config FILE] [--token-file FILE]
       nbd-gateway --eject CONFIGURATION [--config FILE] [--token-file FILE] [--fingerprint SHA256 | --ca FILE] [URL]
       nbd-gateway --status [--json] [--config FILE] [--token-file FILE] [--fingerprint SHA256 | --ca FILE] [URL]

Serves the page, and takes disk images from browsers and from nbd-serve. An image that is served to
ws://HOST:PORT/CONFIGURATION becomes a disk on this machine, as CONFIGURATION says; ws://HOST:PORT/ is the default one.

Who wants in needs a token, which is made at the first start. On a terminal the URL that is printed has it behind "#".

  --config FILE    default: /etc/nbd-proxy/config.json, else ./config.json, but not for root
  --host ADDRESS   beyond loopback only with TLS or behind a proxy
  --port PORT      0: a free port
  --tls-cert FILE --tls-key FILE
                   speaks TLS with these, which are read again when they change
  --tls-self-signed
                   speaks TLS with a certificate of its own; prints its fingerprint
  --behind-proxy ADDRESS
                   believes the reverse proxy there, and refuses everybody else; unix:PATH listens there
  --socket-mode MODE, --socket-group GROUP
                   of that unix socket
  --token-file FILE
                   where the token is, or will be; default: token in $STATE_DIRECTORY, else for root in
                   /var/lib/nbd-proxy, else in $XDG_STATE_HOME/nbd-proxy or ~/.local/state/nbd-proxy
  --init           writes what to begin with to FOLDER, where it is not yet: config.json, units for systemd, examples for
                   nginx and Caddy; default: for root /etc/nbd-proxy, else the current folder
  --new-token      makes a new token and prints its file: all logins end
  --eject CONFIGURATION
                   has the gateway at URL end that disk in order, and waits for it; default: the gateway of this
                   configuration file on this machine
  --status         prints what the disks of that gateway are at; exit status 1: one is lost or has failed, 2: the gateway
                   cannot be reached, or refuses
  --json           prints it as JSON
  --log-format FORMAT
                   of what standard error gets: text, lines for people; or json. Default: json for systemd's journal
  --fingerprint SHA256, --ca FILE
                   which certificate to believe there
  --no-auth        asks for no token: every user and program of this machine gets in; with --eject and --status: sends none
  --help, --version
`,
};

run(program, async () => {
  process.stdout.on("error", () => {}); // its reader may be gone
  // Also where its arguments are wrong.
  if (process.argv.includes("--status")) program.failure = UNKNOWN;
  const { values, positionals } = readArguments(program, {
    config: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    "tls-cert": { type: "string" },
    "tls-key": { type: "string" },
    "tls-self-signed": { type: "boolean" },
    "behind-proxy": { type: "string", multiple: true },
    "socket-mode": { type: "string" },
    "socket-group": { type: "string" },
    "token-file": { type: "string" },
    init: { type: "boolean", default: false },
    "new-token": { type: "boolean", default: false },
    eject: { type: "string" },
    status: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    "log-format": { type: "string" },
    fingerprint: { type: "string" },
    ca: { type: "string" },
    "no-auth": { type: "boolean", default: false },
  });
  const tasks = [values.init, values.eject !== undefined, values.status, values["new-token"]];
  if (tasks.filter((isAsked) => isAsked).length > 1)
    throw new Error("--init, --eject, --status and --new-token exclude each other");
  const takesOne = values.eject !== undefined || values.status || values.init;
  const surplus = positionals[takesOne ? 1 : 0];
  if (surplus !== undefined) throw new Error(`unexpected argument "${surplus}"; see nbd-gateway --help`);
  if (values.init) {
    return init(positionals[0], {
      package: fileURLToPath(new URL("../..", import.meta.url)),
      command: [process.execPath, resolve(process.argv[1]!)],
      isRoot: process.geteuid?.() === 0,
      say: (line) => void process.stdout.write(`${line}\n`),
    });
  }
  const flags = gatewayFlags(values);
  const format = values["log-format"];
  if (format !== undefined && !isLogFormat(format)) {
    throw new Error(`--log-format is text or json, not ${quoted(format)}`);
  }
  const output = await gatewayLog(program.name, format);
  const log = output.line;
  program.log = log;
  if (values.json && !values.status) throw new Error("--json is for --status");
  if (values.eject !== undefined) return eject(values.eject, positionals[0], { ...values, flags }, log);
  if (values.status) return printStatus(positionals[0], { ...values, flags }, log);

  const { "new-token": isRenewal, "no-auth": isOpen } = values;
  if (isOpen && (isRenewal || values["token-file"] !== undefined)) {
    throw new Error(`--no-auth and ${isRenewal ? "--new-token" : "--token-file"} exclude each other`);
  }
  if (isRenewal && values["token-file"] !== undefined) return renew(values["token-file"]);

  const tokenFileOf = (named: string | undefined) =>
    resolve(values["token-file"] ?? named ?? defaultTokenFile());
  if (isRenewal) return renew(tokenFileOf((await readConfig(values.config)).tokenFile));

  const manager = await serviceManager((line) => log(line, "warning"));
  const { http, held } = await handedOver();
  const config = await gatewayConfig(values.config, held, log);
  const tokenFile = tokenFileOf(config.tokenFile);
  const [surplusSocket] = namesWithout(config, held);
  if (surplusSocket !== undefined) {
    const wanted = `neither "http" nor a configuration of ${config.file}`;
    throw new ConfigError(
      `a socket is called ${quoted(surplusSocket)}, ${wanted}; FileDescriptorName= in the .socket unit names it`,
    );
  }
  const { host = "127.0.0.1", port = 8000, ...keys } = { ...config.gateway, ...flags };
  const hosts =
    http.length > 0 ? http.flatMap(({ address }) => ("host" in address ? address.host : [])) : [host];
  const beyond = hosts.find((one) => !isLoopback(one));
  if (isOpen && (beyond !== undefined || keys["behind-proxy"]?.length)) {
    const whom = beyond ?? "the proxy";
    throw new Error(`--no-auth is for loopback only: everybody who reaches ${whom} would get in`);
  }
  if (isOpen) log("--no-auth: every user and every program of this machine gets in", "warning");
  const access = isOpen ? undefined : tokenAccess({ tokenFile, log });
  keepYoungGenerationSmall();
  const wanted = tlsKeys(flags, config.gateway);
  const tls = await chooseCertificates(wanted, { host: hosts[0] ?? host, tokenFile, log });
  const readCertificate = tls && wanted["tls-cert"] !== undefined ? () => void tls.look() : undefined;
  let readConfiguration: (() => void) | undefined;
  let isReadLater = false;
  // A terminal that is closed sends SIGHUP too: then nobody is there any more.
  const signal = onSignals(
    isatty(0)
      ? readCertificate
      : () => {
          readCertificate?.();
          isReadLater = readConfiguration === undefined;
          readConfiguration?.();
        },
  );
  const staticFolder = fileURLToPath(new URL("../web", import.meta.url));
  const running = await gateway({
    config,
    host,
    port,
    tls,
    behindProxy: keys["behind-proxy"],
    socketPermissions: socketPermissionsOf(keys),
    sockets: http,
    staticFolder,
    log: output,
    ...(access && { access }),
  });
  if (tls?.current.isSelfSigned) log(`SHA-256 of its certificate: ${tls.current.fingerprint}`);
  const tellPlaces = (names: Iterable<string>, { configurations }: Config) => {
    for (const name of names) {
      const message = `its disk will be at ${placeOf(configurations.get(name)!)}`;
      output.record({ level: "info", configuration: name, message });
    }
  };
  tellPlaces(config.configurations.keys(), config);
  if (access) log(`the token is in ${tokenFile}`);
  // What is not a terminal may keep what it reads, as a journal does.
  const hasFragment = access && process.stdout.isTTY && !running.url.startsWith("unix:");
  const fragment = hasFragment ? `#${readToken(tokenFile)}` : "";
  process.stdout.write(`${running.url}${fragment}\n`);
  readConfiguration = reloading({ file: config.file, held, running, manager, tellPlaces, log });
  if (isReadLater) readConfiguration();
  else void manager.ready(`at ${running.url}`);
  try {
    if (!signal.aborted) await once(signal, "abort");
    void manager.stopping("ending the sessions in order");
    await running.close();
  } finally {
    manager.close();
    for (const socket of held.values()) socket.close();
    tls?.close();
    access?.close();
  }
});

/** Makes a new token: a gateway that runs takes it at once, and its logins end. */
function renew(tokenFile: string): void {
  renewToken(tokenFile, { asRoot: true });
  process.stdout.write(`${tokenFile}\n`);
}
