import { once } from "node:events";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError, readConfig } from "../src/node/config/config.ts";
import { socketPermissionsOf } from "../src/node/config/gateway-keys.ts";
import { placeOf } from "../src/node/config/place-of.ts";
import { gateway } from "../src/node/gateway/gateway.ts";
import { chooseCertificates, tlsKeys } from "../src/node/gateway/tls/choose-certificates.ts";
import { tokenAccess } from "../src/node/login/access.ts";
import { defaultTokenFile, readToken, renewToken } from "../src/node/login/token-file.ts";
import { isLoopback } from "../src/node/loopback.ts";
import { judgeStateHook } from "../src/node/session/state-hook.ts";
import { quoted } from "../src/streams/quoted.ts";
import { eject } from "./eject.ts";
import { gatewayFlags } from "./gateway-flags.ts";
import { gatewayLog, isLogFormat } from "./gateway-log.ts";
import { onSignals, type Program, readArguments, run } from "./program.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";
import { printStatus } from "./status.ts";

const program: Program = {
  name: "nbd-gateway",
  help: `Usage: nbd-gateway [--config FILE] [--host 127.0.0.1] [--port 8000] [--token-file FILE | --no-auth]
                   [--tls-cert FILE --tls-key FILE | --tls-self-signed] [--behind-proxy ADDRESS]...
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
  --no-auth        asks for no token: every user and program of this machine gets in
  --help, --version
`,
};

run(program, async () => {
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
    "new-token": { type: "boolean", default: false },
    eject: { type: "string" },
    status: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    "log-format": { type: "string" },
    fingerprint: { type: "string" },
    ca: { type: "string" },
    "no-auth": { type: "boolean", default: false },
  });
  const asks = values.eject !== undefined || values.status;
  const surplus = positionals[asks ? 1 : 0];
  if (surplus !== undefined) throw new Error(`unexpected argument "${surplus}"; see nbd-gateway --help`);
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

  const config = await readConfig(values.config);
  const tokenFile = resolve(values["token-file"] ?? config.tokenFile ?? defaultTokenFile());
  if (isRenewal) return renew(tokenFile);
  if (config.configurations.size === 0) throw new ConfigError(`${config.file}: "configurations" is empty`);
  for (const configuration of config.configurations.values()) judgeStateHook(configuration);
  for (const warning of config.warnings) log(warning, "warning");
  const { host = "127.0.0.1", port = 8000, ...keys } = { ...config.gateway, ...flags };
  if (isOpen && (!isLoopback(host) || keys["behind-proxy"]?.length)) {
    const whom = isLoopback(host) ? "the proxy" : host;
    throw new Error(`--no-auth is for loopback only: everybody who reaches ${whom} would get in`);
  }
  if (isOpen) log("--no-auth: every user and every program of this machine gets in", "warning");
  const access = isOpen ? undefined : tokenAccess({ tokenFile, log });
  keepYoungGenerationSmall();
  const wanted = tlsKeys(flags, config.gateway);
  const tls = await chooseCertificates(wanted, { host, tokenFile, log });
  const signal = onSignals(tls && wanted["tls-cert"] !== undefined ? () => void tls.look() : undefined);
  const staticFolder = fileURLToPath(new URL("../web", import.meta.url));
  const running = await gateway({
    config,
    host,
    port,
    tls,
    behindProxy: keys["behind-proxy"],
    socketPermissions: socketPermissionsOf(keys),
    staticFolder,
    log: output,
    ...(access && { access }),
  });
  if (tls?.current.isSelfSigned) log(`SHA-256 of its certificate: ${tls.current.fingerprint}`);
  for (const one of config.configurations.values()) {
    output.record({ level: "info", configuration: one.name, message: `its disk will be at ${placeOf(one)}` });
  }
  process.stdout.on("error", () => {}); // the reader of the URL may be gone
  if (access) log(`the token is in ${tokenFile}`);
  // What is not a terminal may keep what it reads, as a journal does.
  const hasFragment = access && process.stdout.isTTY && !running.url.startsWith("unix:");
  const fragment = hasFragment ? `#${readToken(tokenFile)}` : "";
  process.stdout.write(`${running.url}${fragment}\n`);
  try {
    if (!signal.aborted) await once(signal, "abort");
    await running.close();
  } finally {
    tls?.close();
    access?.close();
  }
});

/** Makes a new token: a gateway that runs takes it at once, and its logins end. */
function renew(tokenFile: string): void {
  renewToken(tokenFile);
  process.stdout.write(`${tokenFile}\n`);
}
