/** Reads, writes and trims in any order on four connections to one writable file, 64 deep, everything verified. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { needing, root, Sandbox, suite } from "../harness.ts";
import { pattern, throughGateway } from "./link.ts";
import { serveListening } from "./listening.ts";

const MIB = 1 << 20;
/** Each of fio's jobs has 4 MiB to itself. */
const REGION = 4 * MIB;
const BLOCK = 4096;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a random mix on four connections");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(4 * REGION));
});
tests.after.each(({ sandbox }) => sandbox.end());

const ways = {
  "nbd-serve on a socket": (sandbox: Sandbox, image: string) => serveListening(sandbox, "--writable", image),
  "nbd-serve and nbd-gateway": (sandbox: Sandbox, image: string) =>
    throughGateway(sandbox, image, { writable: true }),
};

interface Job {
  jobname: string;
  error: number;
  read: { total_ios: number };
  write: { total_ios: number };
  trim: { total_ios: number };
}

/*
 * fio 3.33 neither trims in its randrw nor writes in its randtrimwrite, so the mix is of four jobs at the same time. Its
 * trimwrite writes what it has just trimmed, and leaves it to serialize_overlap that one comes after the other.
 */
const jobs = {
  "mix-0": ["--rw=randrw", "--verify_backlog=100"],
  "mix-1": ["--rw=randrw", "--bsrange=512-65536", "--verify_backlog=100"],
  trimwrite: ["--rw=trimwrite", "--serialize_overlap=1"],
  trim: ["--rw=randtrim"],
};

for (const [name, serve] of Object.entries(ways)) {
  needing(tests, ["fio", "nbdsh"])(`fio with verification: ${name}`, async ({ sandbox, image }) => {
    const { uri } = await serve(sandbox, image);
    const args = Object.entries(jobs).flatMap(([job, options], i) => [
      ...[`--name=${job}`, "--ioengine=nbd", `--uri=${uri}`, `--offset=${i * REGION}`, `--size=${REGION}`],
      ...[`--bs=${BLOCK}`, "--iodepth=64", "--verify=crc32c", "--verify_fatal=1", ...options],
    ]);
    const output = await sandbox.run("fio", [...args, "--output-format=json"]);
    const done = (JSON.parse(output.slice(output.indexOf("{"))) as { jobs: Job[] }).jobs;
    assert.equal(
      done.map(({ jobname, error }) => [jobname, error]),
      Object.keys(jobs).map((job) => [job, 0]),
    );
    const blocks = REGION / BLOCK;
    const [mix, odd, trimwrite, trim] = done as [Job, Job, Job, Job];
    for (const { read, write } of [mix, odd]) {
      assert.ok(read.total_ios > 0 && write.total_ios > 0, "it read and wrote");
    }
    assert.equal([trimwrite.trim.total_ios, trimwrite.write.total_ios], [blocks, blocks]);
    assert.is(trim.trim.total_ios, blocks);
    // It has trimmed each block of its region once, and none of the others'.
    const trimmed = readFileSync(image).subarray(3 * REGION);
    assert.equal(trimmed, Buffer.alloc(REGION));
    assert.ok(statSync(image).blocks * 512 <= 3 * REGION + MIB, "what was trimmed is a hole of the file");
  });

  needing(tests, ["nbdsh"])(
    `blocks next to each other, in turns of the four connections: ${name}`,
    async ({ sandbox, image }) => {
      const { uri } = await serve(sandbox, image);
      const script = join(root, "test/system/mix.py");
      const output = await sandbox.run("/usr/bin/python3", [script, uri, "8000"]);
      const done = JSON.parse(output) as Record<string, number>;
      for (const what of ["pread", "pwrite", "zero", "trim"])
        assert.ok(done[what]! > 500, `${what}: ${output}`);
    },
  );
}

tests.run();
