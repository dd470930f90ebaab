import type { Config, HeldSockets } from "../src/node/config/config.ts";
import type { ConfigChange } from "../src/node/config/live-config.ts";
import type { Gateway } from "../src/node/gateway/gateway.ts";
import type { Log } from "../src/node/log/log.ts";
import type { ServiceManager } from "../src/node/systemd/service-manager.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { quoted } from "../src/streams/quoted.ts";
import { gatewayConfig, namesWithout } from "./gateway-config.ts";

export interface ReloadingOptions {
  /** The configuration file. */
  file: string;
  held: HeldSockets;
  running: Pick<Gateway, "reload" | "url">;
  manager: ServiceManager;
  /** Tells where the disks of these configurations will be. */
  tellPlaces(names: Iterable<string>, config: Config): void;
  log: Log;
}

/**
 * Has a gateway take its configuration file each time that it is called, once more if it is called meanwhile. A file with a
 * fault changes nothing, which the log says.
 */
export function reloading({ file, held, running, manager, tellPlaces, log }: ReloadingOptions): () => void {
  let isReading = false;
  let isWantedAgain = false;

  async function read(): Promise<void> {
    await manager.reloading();
    let status = `at ${running.url}`;
    try {
      const config = await gatewayConfig(file, held, log);
      const change = running.reload(config);
      log(`read ${file} again: ${told(change)}`);
      tellPlaces([...change.added, ...change.changed], config);
      for (const name of namesWithout(config, held))
        log(
          `the socket called ${quoted(name)} has no configuration any more: whoever connects is hung up on`,
          "warning",
        );
    } catch (error) {
      status += `; ${file} has a fault, which the log tells`;
      log(`${messageOf(error)}; all stays as it was`, "error");
    }
    await manager.ready(status);
  }

  return () => {
    isWantedAgain = true;
    if (isReading) return;
    isReading = true;
    void (async () => {
      while (isWantedAgain) {
        isWantedAgain = false;
        await read();
      }
      isReading = false;
    })();
  };
}

function told({ added, changed, removed, now, later }: ConfigChange): string {
  const names = (list: readonly string[]) => list.map((name) => quoted(name)).join(", ");
  const parts = [
    ...(added.length > 0 ? [`new ${names(added)}`] : []),
    ...(changed.length > 0 ? [`changed ${names(changed)}`] : []),
    ...(removed.length > 0 ? [`removed ${names(removed)}`] : []),
    ...(now.length > 0 ? [`from now on: ${now.join(", ")}`] : []),
    ...(later.length > 0 ? [`at the next start: ${later.join(", ")}`] : []),
  ];
  return parts.length > 0 ? parts.join("; ") : "nothing is different";
}
