import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ChangeQueueOptions, changeQueue } from "../../../src/node/kernel/queue-settings.ts";

const tests = suite("queue settings");

/** What the queue of a device is set to. */
async function settingsFor(options: ChangeQueueOptions): Promise<Record<string, number>> {
  const settings: Record<string, number> = {};
  const sysfs = {
    setting: async () => 0,
    set: async (name: string, value: number) => {
      settings[name] = value;
    },
  };
  await changeQueue(sysfs, options);
  return settings;
}

tests("without a word, one connection has 32 requests of 512 KiB", async () => {
  const settings = await settingsFor({ connections: 1, timeout: 0 });
  assert.equal(settings, { max_sectors_kb: 512, read_ahead_kb: 1024, nr_requests: 32 });
});

tests("however many connections, and however long requests, at most 16 MiB are in flight", async () => {
  for (let connections = 1; connections <= 16; connections++) {
    for (const maxRequestKb of [4, 128, 512, 1024, 4096, 32_768]) {
      const settings = await settingsFor({ connections, maxRequestKb, timeout: 30 });
      const { max_sectors_kb: longest = 0, nr_requests: requests = 0 } = settings;
      const what = `${connections} connections, ${requests} requests of ${longest} KiB`;
      assert.ok(longest >= 4 && longest <= maxRequestKb && longest % 4 === 0, what);
      // The kernel takes no fewer than 4.
      assert.ok(requests >= 4 && requests <= 128, what);
      assert.ok(connections * requests * longest <= 16 << 10, what);
    }
  }
});

tests.run();
