import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readConfig } from "../src/node/config/config.ts";
import { makeFolders } from "../src/node/make-folders.ts";
import { reasonOf } from "../src/node/system-error.ts";
import { quoteWord } from "../src/node/systemd/quote-word.ts";

/** What a gateway begins with: the file beside the programs or above them, and what it is called. */
const FILES = [
  ["config.json", "config.json"],
  ["bin/nbd-gateway.service", "nbd-gateway.service"],
  ["bin/nbd-gateway.socket", "nbd-gateway.socket"],
  ["bin/nbd-gateway-device.conf", "nbd-gateway-device.conf"],
  ["bin/nginx.conf.example", "nginx.conf.example"],
  ["bin/Caddyfile.example", "Caddyfile.example"],
] as const;

/** The command line in the unit as it lies in the package. */
const COMMAND = "/usr/bin/env nbd-gateway --config /etc/nbd-proxy/config.json";

/** Folders of which a service that is shut in sees nothing, or its own. */
const HIDDEN = /^\/(home|root|run\/user|tmp|var\/tmp)\//;

export interface InitOptions {
  /** The folder of the package. */
  package: string;
  /** Node, and the program that it runs. */
  command: readonly [string, string];
  isRoot: boolean;
  /** Takes a line for people. */
  say(line: string): void;
}

/**
 * Writes what a gateway begins with: a configuration, the units for systemd, examples for proxies. What is there already is
 * left as it is. Says what was written, and what comes next.
 *
 * @param folder where to; default: for root /etc/nbd-proxy, else the current folder
 * @throws Error when something cannot be written, or others could change the configuration there
 */
export async function init(folder: string | undefined, options: InitOptions): Promise<void> {
  const { isRoot, command, say } = options;
  const target = resolve(folder ?? (isRoot ? "/etc/nbd-proxy" : "."));
  const config = join(target, "config.json");
  const words = [...command, "--config", config].map(quoteWord).join(" ");
  try {
    if (makeFolders(target, 0o755)) chmodSync(target, 0o755); // whatever the umask is
  } catch (error) {
    throw new Error(`making the folder ${target}: ${reasonOf(error)}`);
  }
  for (const [from, name] of FILES) {
    const text = readFileSync(join(options.package, from), "utf8");
    write(
      join(target, name),
      name === "config.json" ? withoutDevices(text) : text.replace(COMMAND, () => words),
      say,
    );
  }
  await readConfig(config);
  if (!isRoot) return say(`next: ${words}`);
  const unseen = command.find((path) => !isSeenByServices(path));
  if (unseen !== undefined)
    say(`a service cannot read ${unseen}: "npm install -g" of the package as root puts it where it can`);
  if (!isSeenByServices(config)) say(`a service cannot read ${config}: name a folder below /etc or /srv`);
  const next = `systemctl enable --now ${quoteWord(join(target, "nbd-gateway.service"))}`;
  const isReady = unseen === undefined && isSeenByServices(config);
  say(`${isReady ? "next" : "when that is mended"}: ${next}`);
}

/** The configuration of the package, without what the unit allows only with its drop-in. */
function withoutDevices(text: string): string {
  const { configurations, ...rest } = JSON.parse(text) as { configurations: Record<string, object> };
  const listening = Object.entries(configurations).filter(([, one]) => "listen" in one);
  return `${JSON.stringify({ ...rest, configurations: Object.fromEntries(listening) }, undefined, 2)}\n`;
}

function write(file: string, text: string, say: (line: string) => void): void {
  try {
    // Nothing is replaced, and no link is followed.
    writeFileSync(file, text, { flag: "wx" });
    // A service of another user reads it, whatever the umask is.
    chmodSync(file, 0o644);
    say(`wrote ${file}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw new Error(`writing ${file}: ${reasonOf(error)}`);
    say(`${file} is there already, and stays as it is`);
  }
}

/** Whether a user of no groups of ours can read a file, as a service does that is shut in. */
function isSeenByServices(file: string): boolean {
  if (HIDDEN.test(file)) return false;
  if ((statSync(file).mode & 0o004) === 0) return false;
  for (let folder = dirname(file); folder !== "/"; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
  }
  return true;
}
