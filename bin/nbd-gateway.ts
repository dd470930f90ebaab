import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ConfigError, readConfig } from "../src/node/config/config.ts";
import { gateway } from "../src/node/gateway/gateway.ts";
import { judgeStateHook } from "../src/node/session/state-hook.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

const program = {
  name: "nbd-gateway",
  help: `Usage: nbd-gateway [--config FILE] [--host 127.0.0.1] [--port 8000]

Serves the page, and takes disk images from browsers and from nbd-serve. An image that is served to
ws://HOST:PORT/CONFIGURATION becomes a disk on this machine, as CONFIGURATION says; ws://HOST:PORT/ is the default one.

  --config FILE    default: /etc/nbd-proxy/config.json, else ./config.json, but not for root
  --host ADDRESS   a loopback address
  --port PORT      0: a free port
  --help, --version
`,
};

run(program, async () => {
  const log = logger(program);
  const { values, positionals } = readArguments(program, {
    config: { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "8000" },
  });
  if (positionals.length > 0)
    throw new Error(`unexpected argument "${positionals[0]}"; see nbd-gateway --help`);
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65535)
    throw new Error(`--port must be 0 to 65535, not "${values.port}"`);

  const config = await readConfig(values.config);
  if (config.configurations.size === 0) throw new ConfigError(`${config.file}: "configurations" is empty`);
  for (const configuration of config.configurations.values()) judgeStateHook(configuration);
  for (const warning of config.warnings) log(warning);
  keepYoungGenerationSmall();
  const signal = onSignals();
  const staticFolder = fileURLToPath(new URL("../web", import.meta.url));
  const running = await gateway({ config, host: values.host, port, staticFolder, log });
  process.stdout.on("error", () => {}); // the reader of the URL may be gone
  process.stdout.write(`${running.url}\n`);
  if (!signal.aborted) await once(signal, "abort");
  await running.close();
});
