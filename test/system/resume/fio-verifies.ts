import * as assert from "uvu/assert";
import { type Sandbox, within } from "../../harness.ts";

interface Job {
  error: number;
  read: { total_ios: number };
  write: { total_ios: number };
}

/** Milliseconds for one run, most of which may go by without a link. */
const PATIENCE = 300_000;

/**
 * Writes and reads at random with fio, flushes now and then, and verifies in the end what was written.
 * @param args say where, how much, and with which engine
 */
export async function fioVerifies(sandbox: Sandbox, args: readonly string[]): Promise<void> {
  const fio = sandbox.start("fio", [
    ...["--name=verify", "--rw=randrw", "--bssplit=4k/80:64k/20", "--iodepth=8", "--fsync=50"],
    ...["--verify=crc32c", "--verify_fatal=1", "--end_fsync=1", "--output-format=json"],
    ...args,
  ]);
  assert.is(await within(PATIENCE, "fio", fio.exit), 0, `${fio.stdout}${fio.stderr}`);
  const { jobs } = JSON.parse(fio.stdout.slice(fio.stdout.indexOf("{"))) as { jobs: Job[] };
  assert.ok(jobs.length > 0);
  for (const { error, read, write } of jobs) {
    assert.is(error, 0);
    assert.ok(read.total_ios > 0 && write.total_ios > 0, "it wrote and read");
  }
}
