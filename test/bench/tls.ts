/**
 * What TLS costs: an image through the whole path, nbd-serve → gateway → unix socket, with TLS 1.3 between the first two and
 * without, in turns. Copies by nbdcopy, with the processor time of our two programs; and single reads of 4 KiB by fio, one
 * after the other.
 *
 *     node --import tsx test/bench/tls.ts [MIB]     (default 512; needs the build, libnbd-bin and fio)
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { fioArguments, readsPerSecond } from "./fio.ts";
import { median } from "./median.ts";
import { MIB, makeImage, processorTime } from "./path.ts";

const ROUNDS = 5;
const READS = 5000;

interface Path {
  uri: string;
  programs: Running[];
}

/** Starts both programs around an image. */
async function start(sandbox: Sandbox, image: string, isSecure: boolean): Promise<Path> {
  const folder = sandbox.path(isSecure ? "tls" : "plain");
  mkdirSync(folder, { mode: 0o700 });
  const [config, socket, token] = ["config.json", "nbd.sock", "token"].map((name) => `${folder}/${name}`);
  const configurations = { bench: { listen: `unix:${socket}` } };
  writeFileSync(config!, JSON.stringify({ "state-hook": "/nowhere", configurations }));
  const options = ["--config", config!, "--port", "0", ...(isSecure ? ["--tls-self-signed"] : [])];
  const gateway = sandbox.start(program("nbd-gateway"), options, { env: { STATE_DIRECTORY: folder } });
  await until("the gateway listens", () => gateway.stdout.includes("\n"));
  const url = gateway.stdout.trim();
  const trust = isSecure ? ["--ca", `${folder}/self-signed.pem`] : [];
  const serve = sandbox.start(program("nbd-serve"), [image, url, "--token-file", token!, ...trust]);
  await until("the export is offered", () => existsSync(socket!));
  return { uri: `nbd+unix:///?socket=${socket}`, programs: [gateway, serve] };
}

/** MB a second, and milliseconds of processor time of our programs for each GiB. */
function copy({ uri, programs }: Path, mebibytes: number) {
  const processor = () => programs.reduce((sum, { pid }) => sum + processorTime(pid), 0);
  const [before, begin] = [processor(), performance.now()];
  execFileSync("nbdcopy", [uri, "null:"]);
  const seconds = (performance.now() - begin) / 1000;
  return { rate: (mebibytes * MIB) / 1e6 / seconds, processor: ((processor() - before) * 1024) / mebibytes };
}

/** Microseconds that a read takes which waits for no other. */
function latency({ uri }: Path): number {
  const args = fioArguments(uri, { number_ios: READS }).map((one) =>
    one.replace(/^--iodepth=.*/, "--iodepth=1"),
  );
  return 1e6 / readsPerSecond(execFileSync("fio", args, { encoding: "utf8" }));
}

const mebibytes = Number(process.argv[2] ?? 512);
const sandbox = new Sandbox();
try {
  const image = makeImage(sandbox, mebibytes);
  const paths = { plain: await start(sandbox, image, false), tls: await start(sandbox, image, true) };
  const found = { plain: [] as ReturnType<typeof measure>[], tls: [] as ReturnType<typeof measure>[] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ["plain", "tls"] as const) {
      const figures = measure(paths[way]);
      found[way].push(figures);
      const { rate, processor, read } = figures;
      console.log(
        `${way}: ${rate.toFixed(0)} MB/s, ${processor.toFixed(0)} ms a GiB; ${read.toFixed(0)} µs a read`,
      );
    }
  }
  const ratio = (key: "rate" | "processor" | "read") => {
    const [tls, plain] = [found.tls, found.plain].map((all) => median(all.map((one) => one[key])));
    return (tls! / plain!).toFixed(2);
  };
  console.log(
    `TLS, of what it is without: copies ${ratio("rate")}, their processor time ${ratio("processor")}, ` +
      `time of a read ${ratio("read")} (medians of ${ROUNDS})`,
  );
} finally {
  await sandbox.end();
}

function measure(path: Path) {
  return { ...copy(path, mebibytes), read: latency(path) };
}
