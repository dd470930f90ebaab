import { HttpError } from "../../../src/export/http/http-error.ts";
import type { NbdMediaElement } from "../../../web/media/nbd-media.ts";
import type { RemoteStatus } from "../../../web/media/remote-status.ts";
import { readLevel } from "../../../web/serving/read-level.ts";
import type { BlockMap, RateSample } from "../../../web/serving/report.ts";
import type { StandIns } from "./stand-in-serving.ts";

/* How a card comes to each of its states, in a browser. */

const MIB = 2 ** 20;

/** A whole minute, so that each picture is the last one again. */
const now = Math.floor(Date.now() / 60_000) * 60_000;

export interface Scene {
  readonly element: NbdMediaElement;
  readonly standIns: StandIns;
}

const ADDRESS = "https://mirror.example/iso/debian-12.8-netinst.iso";
const image = () => new File([new Uint8Array(3 * MIB)], "debian-12.8-netinst.iso");
const unreadable = () => {
  const file = image();
  file.slice = () => {
    throw new Error("the file was removed, or may not be read");
  };
  return file;
};

/** Requests of each second: known, and different from each other. */
export const samples: readonly RateSample[] = Array.from({ length: 240 }, (_, i) => {
  const isIdle = i >= 120 && i < 140;
  const requests = isIdle ? 0 : Math.round(900 + 600 * Math.sin(i / 9));
  return {
    at: now - 1000 * (239 - i),
    ...{ bytesRead: requests * 131_072, bytesWritten: 0, requests },
    latency: isIdle ? undefined : 1.2 + Math.sin(i / 5),
  };
});

/** 2,048 cells of 1 GiB, of which each 16th is like the others of its kind. */
export function patternMap(): BlockMap {
  const cells = 2048;
  const times = [0, 0, 0.5, 1, 2, 3, 7, 31, 100, 0, 0, 0, 1, 0, 0, 0];
  return {
    cellSize: 1024 * MIB,
    reads: Uint8Array.from({ length: cells }, (_, i) => readLevel(times[i % 16]!)),
    writes: Uint8Array.from({ length: cells }, (_, i) => (i % 16 === 10 || i % 16 === 12 ? 255 : 0)),
    cached: Uint8Array.from({ length: cells }, (_, i) => (i % 16 === 8 || i % 16 === 11 ? 255 : 0)),
  };
}

const totals = {
  ...{ reads: 214_000, bytesRead: 28_049_000_000, outstanding: 12, hits: 150_000, misses: 64_000 },
  bytesCovered: MIB,
};
const lost = { at: now - 30_000, until: now + 270_000 };
const lines = [
  { at: now - 300_000, level: "info", text: "connecting to ws://bmc.example/0" },
  { at: now - 299_000, level: "info", text: "serving 3145728 bytes" },
  { at: now - 60_000, level: "warning", text: "the link was lost, trying for 300 s: nothing came any more" },
  { at: now - 30_000, level: "error", text: "reading 4096 bytes at 0: the file was removed" },
] as const;

const remote: RemoteStatus = {
  ...{ state: "attached", where: "/dev/nbd0", allowsTakeOver: true, lastError: null },
  session: {
    ...{ id: "s1", since: new Date(now - 600_000).toISOString(), waitingUntil: null },
    medium: { name: "ubuntu-24.04-live-server-amd64.iso", size: 2_773_874_688 },
    peer: { address: "10.9.0.3" },
  },
};

function begin({ element, standIns }: Scene) {
  element.choose(image());
  element.serve();
  return standIns.last;
}

function serving(scene: Scene) {
  const stand = begin(scene);
  stand.say({ state: "serving", since: now - 300_000, wasOpen: true, lines });
  stand.say({
    ...{ state: "serving", since: now - 300_000, wasOpen: true, lastReadAt: now, samples, totals },
    map: patternMap(),
  });
  return stand;
}

function failed(scene: Scene, code: number | undefined, reason: string, wasOpen = true) {
  const failure = { words: code === undefined ? reason : `closed: ${reason}`, code, reason };
  begin(scene).say({ state: "failed", wasOpen, failure, lines: [{ at: now, level: "error", text: reason }] });
}

export const scenes = {
  free: () => {},
  "free-after-failure": ({ element }) => {
    const lastError = {
      words: "the kernel did not take the device: it is busy",
      at: new Date(now).toISOString(),
    };
    element.remote = { ...remote, state: "free", session: null, lastError };
  },
  "bad-file": ({ element }) => element.choose(unreadable()),
  "looking-at-url": ({ element }) => {
    element.lookAt = () => new Promise(() => {});
    element.url = ADDRESS;
  },
  "bad-url": ({ element }) => {
    const words = "the server is there, and does not let this page read";
    element.lookAt = () => Promise.reject(new HttpError("cors", words));
    element.url = ADDRESS;
  },
  "ready-url": ({ element }) => {
    element.lookAt = async () => 3 * MIB;
    element.url = ADDRESS;
  },
  ready: ({ element }) => element.choose(image()),
  disguised: ({ element }) => element.choose(new File(["x"], "invoice\u202egpj.exe \u200b.iso")),
  interrupted: ({ element }) => {
    element.interrupted = { name: "debian-12.8-netinst.iso", size: 5, until: now + 200_000 };
  },
  "interrupted-with-handle": ({ element }) => {
    const handle = { kind: "file" as const, getFile: async () => image() };
    element.interrupted = { name: "debian-12.8-netinst.iso", size: 5, until: now + 200_000, handle };
  },
  held: ({ element }) => {
    element.canEject = true;
    element.remote = remote;
  },
  "held-with-file": ({ element }) => {
    element.canEject = true;
    element.choose(image());
    element.remote = remote;
  },
  "held-waiting": ({ element }) => {
    const waitingUntil = new Date(now + 120_000).toISOString();
    element.remote = { ...remote, state: "waiting", session: { ...remote.session!, waitingUntil } };
  },
  connecting: (scene) => void begin(scene),
  waiting: (scene) => begin(scene).say({ state: "waiting", wasOpen: true }),
  attached: (scene) => begin(scene).say({ state: "serving", since: now, wasOpen: true }),
  serving: (scene) => void serving(scene),
  "serving-again": (scene) => {
    const stand = serving(scene);
    stand.say({ ...stand.report, state: "reconnecting", lost, samples: [], lines: [], map: undefined });
    stand.say({ ...stand.report, state: "serving", since: now, lost });
  },
  unreadable: (scene) => {
    const stand = serving(scene);
    const line = {
      at: now,
      level: "error",
      text: "reading 131072 bytes at 4096: the file was removed",
    } as const;
    const errors = 3;
    stand.say({
      ...stand.report,
      state: "unreadable",
      lines: [line],
      samples: [],
      totals: { ...totals, errors },
    });
  },
  "unreadable-url": async (scene) => {
    const { element, standIns } = scene;
    scenes["ready-url"](scene);
    // It is served once it was looked at.
    await new Promise((resolve) => setTimeout(resolve));
    element.serve();
    const stand = standIns.last;
    stand.say({ state: "serving", since: now - 300_000, wasOpen: true, lastReadAt: now, samples, totals });
    const text = "reading 131072 bytes at 4096 of https://mirror.example/disk.iso: it has another ETag";
    stand.say({
      ...stand.report,
      state: "unreadable",
      lines: [{ at: now, level: "error", text }],
      samples: [],
    });
  },
  lost: (scene) => {
    const stand = serving(scene);
    stand.say({ ...stand.report, state: "reconnecting", lost, samples: [], lines: [], map: undefined });
  },
  "gateway-gone": (scene) => {
    scene.element.explain = async () => ({
      words: "there is no answer",
      wantsLogin: false,
      isAnswered: false,
    });
    scenes.lost(scene);
  },
  stopping: (scene) => {
    serving(scene);
    scene.element.stop();
  },
  stopped: (scene) => {
    const stand = serving(scene);
    scene.element.stop();
    stand.say({ ...stand.report, state: "ended", samples: [], lines: [] });
  },
  ejected: (scene) => {
    const stand = serving(scene);
    stand.say({ ...stand.report, state: "ended", samples: [], lines: [] });
  },
  "given-up": (scene) => {
    const stand = serving(scene);
    const failure = { words: "given up 300 s after the link was lost: nothing came any more" };
    stand.say({ ...stand.report, state: "failed", lost, failure, samples: [], lines: [] });
  },
  "in-use": (scene) => failed(scene, 4002, "in use by 10.9.0.3 since 14:05"),
  "taken-over": (scene) => failed(scene, 4001, "taken over by 10.9.0.3"),
  "another-medium": (scene) => failed(scene, 4003, "this is another disk: its size differs"),
  refused: (scene) => {
    scene.element.explain = async () => ({
      ...{
        words: "403 Forbidden: pages of this origin may not connect",
        wantsLogin: false,
        isAnswered: true,
      },
    });
    failed(scene, undefined, "the WebSocket could not be opened", false);
  },
  failed: (scene) => failed(scene, 4000, "the other side spoke no NBD"),
} satisfies Readonly<Record<string, (scene: Scene) => void | Promise<void>>>;

export type SceneName = keyof typeof scenes;
