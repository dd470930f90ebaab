import { shownNameText } from "../../../web/media/shown-name.ts";
import type { Holder, Kind, Situation } from "../../../web/media/situation.ts";

const at = new Date(2026, 10, 29, 14, 5, 9).getTime();
const host = "bmc.example:8000";

const holder: Holder = {
  state: "attached",
  isThisBrowser: false,
  address: "10.9.0.3",
  since: at,
  until: undefined,
  file: shownNameText("debian.iso"),
  size: 350 * 2 ** 20,
  allowsTakeOver: true,
};
const awaited = { name: shownNameText("debian.iso"), size: 1000, until: at + 300_000 };

const of = <K extends Kind>(situation: Extract<Situation, { kind: K }>) => situation;

/** Each situation that there is, some in several forms. */
export const situations = {
  free: of<"free">({ kind: "free", lastError: undefined }),
  freeAfterFailure: of<"free">({ kind: "free", lastError: { words: "the device is busy", at } }),
  looking: of<"looking">({ kind: "looking", host: undefined }),
  lookingAtUrl: of<"looking">({ kind: "looking", host: "mirror.example" }),
  badFile: of<"bad-file">({ kind: "bad-file", why: "the file was changed since it was chosen" }),
  badUrl: of<"bad-url">({
    ...{ kind: "bad-url", why: "Opening https://mirror.example/disk.iso: there is no such file (404)" },
    ...{ remedy: "address", isTriedAgain: false },
  }),
  badUrlTried: of<"bad-url">({
    ...{ kind: "bad-url", why: "Opening https://mirror.example/disk.iso: there is no answer" },
    ...{ remedy: "wait", isTriedAgain: true },
  }),
  folder: of<"folder">({ kind: "folder" }),
  ready: of<"ready">({ kind: "ready" }),
  interrupted: of<"interrupted">({ kind: "interrupted", awaited, canGoOn: false }),
  interruptedWithHandle: of<"interrupted">({ kind: "interrupted", awaited, canGoOn: true }),
  held: of<"held">({ kind: "held", holder }),
  heldHere: of<"held">({ kind: "held", holder: { ...holder, isThisBrowser: true } }),
  heldWaiting: of<"held">({ kind: "held", holder: { ...holder, state: "waiting", until: at + 300_000 } }),
  heldEnding: of<"held">({ kind: "held", holder: { ...holder, state: "ending" } }),
  heldForGood: of<"held">({ kind: "held", holder: { ...holder, allowsTakeOver: false } }),
  heldByNobodyKnown: of<"held">({
    kind: "held",
    holder: {
      ...{
        state: "connecting",
        isThisBrowser: false,
        address: undefined,
        since: undefined,
        until: undefined,
      },
      ...{ file: undefined, size: undefined, allowsTakeOver: true },
    },
  }),
  connecting: of<"connecting">({ kind: "connecting", host }),
  waiting: of<"waiting">({ kind: "waiting", host }),
  attached: of<"attached">({ kind: "attached", host }),
  serving: of<"serving">({ kind: "serving", host, gap: undefined }),
  servingAgain: of<"serving">({ kind: "serving", host, gap: 12_000 }),
  unreadable: of<"unreadable">({
    ...{ kind: "unreadable", why: "Reading 4096 bytes at 0: the file was removed", isWebFile: false },
  }),
  unreadableUrl: of<"unreadable">({
    ...{ kind: "unreadable", why: "Reading 4096 bytes at 0: it has another ETag", isWebFile: true },
  }),
  lost: of<"lost">({ kind: "lost", host, until: at }),
  gatewayGone: of<"gateway-gone">({ kind: "gateway-gone", host, until: undefined }),
  gatewayGoneTrying: of<"gateway-gone">({ kind: "gateway-gone", host, until: at }),
  stopping: of<"stopping">({ kind: "stopping" }),
  stopped: of<"stopped">({ kind: "stopped", isAwaited: false, wasThere: true }),
  stoppedBefore: of<"stopped">({ kind: "stopped", isAwaited: false, wasThere: false }),
  stoppedWhileLost: of<"stopped">({ kind: "stopped", isAwaited: true, wasThere: true }),
  ejected: of<"ejected">({ kind: "ejected", host }),
  givenUp: of<"given-up">({ kind: "given-up", host, why: "Given up 300 s after the link was lost" }),
  inUse: of<"in-use">({ kind: "in-use", why: "In use by 10.9.0.3", holder: undefined }),
  inUseKnown: of<"in-use">({ kind: "in-use", why: "In use by 10.9.0.3", holder }),
  takenOver: of<"taken-over">({ kind: "taken-over", why: "Taken over by 10.9.0.3", holder: undefined }),
  another: of<"another-medium">({ kind: "another-medium", why: "This is another disk", awaited: undefined }),
  anotherAwaited: of<"another-medium">({ kind: "another-medium", why: "This is another disk", awaited }),
  refused: of<"refused">({ kind: "refused", why: "The WebSocket could not be opened", wantsLogin: false }),
  refusedLogin: of<"refused">({
    kind: "refused",
    why: "The WebSocket could not be opened",
    wantsLogin: true,
  }),
  failed: of<"failed">({ kind: "failed", why: "The other side spoke no NBD" }),
};
