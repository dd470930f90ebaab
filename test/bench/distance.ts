/**
 * Over distance: a client that reads 128 KiB at a time, one after the other, through nbd-serve ▸ a relay that takes its
 * time ▸ gateway ▸ unix socket. In the same run the same client at a plain server behind the same relay: one request,
 * one reply, no read-ahead, as consoles of the first generation do it. Then random reads of 4 KiB, alone and beside the
 * sequential reader.
 *
 *     node --import tsx test/bench/distance.ts [SECONDS]     (default 8 a measurement; needs the build, python3-libnbd)
 *
 * It draws test/bench/distance.svg.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, Sandbox } from "../harness.ts";
import type { Relay } from "../relay.ts";
import { attached, attachedAt, startGateway } from "../system/link.ts";
import { type Link, RATE, ROUND_TRIPS, serveOver, servePlainly } from "./far-link.ts";
import { makeImage } from "./path.ts";
import { drawPlot } from "./plot.ts";

const READ = 128 << 10;
const BLOCK = 4096;
const seconds = Number(process.argv[2] ?? 8);

interface Reading {
  bytes: number;
  seconds: number;
  /** Milliseconds of a read, at half and at 99 of 100 of them. */
  half: number;
  p99: number;
}

/** A server at the end of a relay, with what a client needs to know. */
interface Far {
  uri: string;
  relay: Relay;
}

async function read(
  sandbox: Sandbox,
  uri: string,
  order: "sequential" | "random",
  length: number,
): Promise<Reading> {
  const reader = join(root, "test/bench/reader.py");
  return JSON.parse(
    await sandbox.run("/usr/bin/python3", [reader, uri, order, String(length), String(seconds)]),
  ) as Reading;
}

type Use<T> = (far: Far, sandbox: Sandbox) => Promise<T>;

/** Does something with an image at the other end of a link, served by our programs. */
async function withOurs<T>(image: string, link: Link, use: Use<T>): Promise<T> {
  const sandbox = new Sandbox();
  try {
    const gateway = await startGateway(sandbox);
    const relay = await serveOver(link, sandbox, image, Number(new URL(gateway.url).port));
    try {
      await attached(gateway);
      return await use({ uri: attachedAt(sandbox).uri, relay }, sandbox);
    } finally {
      await relay.close();
    }
  } finally {
    await sandbox.end();
  }
}

/** The same, by a plain server, without a proxy. */
async function withPlain<T>(image: string, link: Link, use: Use<T>): Promise<T> {
  const sandbox = new Sandbox();
  try {
    const near = sandbox.path("near.sock");
    const relay = await servePlainly(link, sandbox, image, near);
    try {
      return await use({ uri: `nbd+unix:///?socket=${near}`, relay }, sandbox);
    } finally {
      await relay.close();
    }
  } finally {
    await sandbox.end();
  }
}

const rateOf = ({ bytes, seconds }: Reading) => bytes / seconds / 1e6;
const sequential = ({ uri }: Far, sandbox: Sandbox) => read(sandbox, uri, "sequential", READ);
const random = async ({ uri, relay }: Far, sandbox: Sandbox) => {
  const before = (await relay.counts()).there;
  const reading = await read(sandbox, uri, "random", BLOCK);
  return { reading, crossed: ((await relay.counts()).there - before) / reading.bytes };
};

/** Draws what was measured, and says it. */
async function main() {
  const own = new Sandbox();
  try {
    const image = makeImage(own, 256);
    const ours: [number, number][] = [];
    const plain: [number, number][] = [];
    for (const roundTrip of ROUND_TRIPS) {
      const link = { roundTrip, rate: RATE };
      ours.push([roundTrip, rateOf(await withOurs(image, link, sequential))]);
      plain.push([roundTrip, rateOf(await withPlain(image, link, sequential))]);
      const [fast, slow] = [ours.at(-1)![1], plain.at(-1)![1]];
      console.log(
        `${roundTrip} ms, 100 Mbit/s: ${mb(fast)}, ${percent(fast / (RATE / 1e6))} of the link; plain ${mb(slow)}, 1/${(fast / slow).toFixed(1)} of it`,
      );
    }
    const free = { roundTrip: 50 };
    const [fast, slow] = [
      rateOf(await withOurs(image, free, sequential)),
      rateOf(await withPlain(image, free, sequential)),
    ];
    console.log(`50 ms, no cap: ${mb(fast)}, ${(fast / slow).toFixed(1)} times the plain ${mb(slow)}`);

    const link = { roundTrip: 50, rate: RATE };
    const alone = await withOurs(image, link, random);
    const plainAlone = await withPlain(image, link, random);
    const speed = ({ reading: { bytes, seconds } }: typeof alone) => bytes / BLOCK / seconds;
    console.log(
      `4 KiB at random, one after the other: ${speed(alone).toFixed(1)} a second, ${(speed(alone) / speed(plainAlone)).toFixed(2)} times the plain ${speed(plainAlone).toFixed(1)}; ${alone.crossed.toFixed(2)} times the bytes crossed the link`,
    );
    await withOurs(image, link, async (far, sandbox) => {
      const [beside, reader] = await Promise.all([random(far, sandbox), sequential(far, sandbox)]);
      const { half, p99 } = beside.reading;
      console.log(
        `the same beside a sequential reader of ${mb(rateOf(reader))}: half within ${half.toFixed(0)} ms, 99 of 100 within ${p99.toFixed(0)} ms`,
      );
    });
    writeFileSync(
      join(root, "test/bench/distance.svg"),
      drawPlot({
        title: "128 KiB at a time, one read after the other, over 100 Mbit/s",
        x: "round trip (ms)",
        y: "MB/s",
        lines: [
          { name: "nbd-proxy", points: ours },
          { name: "one request, one reply", points: plain },
          {
            name: "the link",
            points: [
              [0, RATE / 1e6],
              [ROUND_TRIPS.at(-1)!, RATE / 1e6],
            ],
            isLimit: true,
          },
        ],
      }),
    );
  } finally {
    await own.end();
  }
}

const mb = (rate: number) => `${rate.toFixed(2)} MB/s`;
const percent = (part: number) => `${(100 * part).toFixed(0)} %`;

await main();
