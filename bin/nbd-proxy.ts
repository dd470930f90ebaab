import { chooseConfiguration, metadataOf, readConfig } from "../src/node/config/config.ts";
import { relayFault } from "../src/node/relay-request.ts";
import { pathArgument } from "./path-argument.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";

const program = {
  name: "nbd-proxy",
  help: `Usage: nbd-proxy [--config FILE] [--record FILE] [CONFIGURATION]
       nbd-proxy [--config FILE] --metadata

Takes the disk image that an NBD server offers on standard input and output, and offers it on this machine as
CONFIGURATION says; without one, the default configuration. It is for relays such as websocketd; nbd-gateway needs none.

  --config FILE    default: /etc/nbd-proxy/config.json, else ./config.json, but not for root
  --record FILE    write what both sides say to FILE, which must not exist, as commented hexadecimal
  --metadata       print one JSON object, configuration name -> its metadata or null
  --help, --version
`,
};

run(program, async () => {
  const log = logger(program);
  const { values, positionals } = readArguments(program, {
    config: { type: "string" },
    metadata: { type: "boolean" },
    record: { type: "string" },
  });
  if (values.metadata && positionals.length > 0) {
    throw new Error("--metadata prints all configurations and takes no CONFIGURATION; see nbd-proxy --help");
  }
  if (positionals.length > 1)
    throw new Error(`at most one CONFIGURATION, not ${positionals.length}; see nbd-proxy --help`);

  const config = await readConfig(values.config);
  const fault = relayFault(process.env, config.allowedHosts);
  if (fault) throw new Error(fault);
  for (const warning of config.warnings) log(warning);
  if (values.metadata) {
    process.stdout.write(`${JSON.stringify(metadataOf(config))}\n`);
    return;
  }
  const configuration = chooseConfiguration(config, positionals[0]);
  const signal = onSignals();
  const { proxySession } = await import("./proxy-session.ts");
  const record = values.record === undefined ? undefined : pathArgument(values.record, "--record");
  return proxySession(configuration, record, { memory: config.memory, log, signal });
});
