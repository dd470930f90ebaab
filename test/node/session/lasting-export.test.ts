/** What is asked of a link as soon as it is one that can be replaced. */
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { UnflushedMemory } from "../../../src/export/resume/unflushed-memory.ts";
import { lastingExport } from "../../../src/node/session/lasting-export.ts";
import { linkedExport } from "../../../src/node/session/linked-export.ts";
import { SessionRecord } from "../../../src/node/session/session-state.ts";
import { untilAborted } from "../../../src/node/until-aborted.ts";
import { suite } from "../../harness.ts";
import { BYTES, NONCE, offered } from "./offered-link.ts";

const tests = suite("an export that lasts");

tests("something is asked for at once: the other side comes back only for a link that was used", async () => {
  const disk = memoryExport(BYTES.slice());
  const reads: number[][] = [];
  const counted = {
    ...disk,
    read: (offset: number, length: number) => {
      reads.push([offset, length]);
      return disk.read(offset, length);
    },
  };
  const ending = new AbortController();
  const { signal } = ending;
  const first = (await linkedExport(await offered(counted), { timeout: 0, silence: 0, signal }))!;
  const configuration = { resume: 300, resumeForeign: false, readOnly: false, timeout: 30 };
  const lasting = lastingExport(first, configuration, {
    resume: { key: NONCE, nonce: NONCE, unflushed: new UnflushedMemory() },
    links: async (hurry) => void (await untilAborted(new Promise(() => {}), hurry)),
    signal,
    log: () => {},
    record: new SessionRecord(() => {}),
  });
  try {
    await lasting.target.read(1024, 16);
    assert.equal(reads, [
      [0, 512],
      [1024, 16],
    ]);
  } finally {
    ending.abort();
    await lasting.target.close();
  }
});

tests.run();
