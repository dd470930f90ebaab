import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ConfigError, readConfig } from "../src/node/config/config.ts";
import { socketPermissionsOf } from "../src/node/config/gateway-keys.ts";
import { gateway } from "../src/node/gateway/gateway.ts";
import { chooseCertificates, tlsKeys } from "../src/node/gateway/tls/choose-certificates.ts";
import { defaultTokenFile } from "../src/node/login/token-file.ts";
import { judgeStateHook } from "../src/node/session/state-hook.ts";
import { gatewayFlags } from "./gateway-flags.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

const program = {
  name: "nbd-gateway",
  help: `Usage: nbd-gateway [--config FILE] [--host 127.0.0.1] [--port 8000]
                   [--tls-cert FILE --tls-key FILE | --tls-self-signed] [--behind-proxy ADDRESS]...

Serves the page, and takes disk images from browsers and from nbd-serve. An image that is served to
ws://HOST:PORT/CONFIGURATION becomes a disk on this machine, as CONFIGURATION says; ws://HOST:PORT/ is the default one.

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
  --help, --version
`,
};

run(program, async () => {
  const log = logger(program);
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
  });
  if (positionals.length > 0)
    throw new Error(`unexpected argument "${positionals[0]}"; see nbd-gateway --help`);
  const flags = gatewayFlags(values);
  const config = await readConfig(values.config);
  if (config.configurations.size === 0) throw new ConfigError(`${config.file}: "configurations" is empty`);
  for (const configuration of config.configurations.values()) judgeStateHook(configuration);
  for (const warning of config.warnings) log(warning);
  keepYoungGenerationSmall();
  const { host = "127.0.0.1", port = 8000, ...keys } = { ...config.gateway, ...flags };
  const wanted = tlsKeys(flags, config.gateway);
  const tls = await chooseCertificates(wanted, { host, tokenFile: defaultTokenFile(), log });
  const signal = onSignals(tls && wanted["tls-cert"] !== undefined ? () => void tls.look() : undefined);
  const staticFolder = fileURLToPath(new URL("../web", import.meta.url));
  const behindProxy = keys["behind-proxy"];
  const socketPermissions = socketPermissionsOf(keys);
  const running = await gateway({
    config,
    host,
    port,
    tls,
    behindProxy,
    socketPermissions,
    staticFolder,
    log,
  });
  if (tls?.current.isSelfSigned) log(`SHA-256 of its certificate: ${tls.current.fingerprint}`);
  process.stdout.on("error", () => {}); // the reader of the URL may be gone
  process.stdout.write(`${running.url}\n`);
  if (!signal.aborted) await once(signal, "abort");
  tls?.close();
  await running.close();
});
