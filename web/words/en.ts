import type { Holder } from "../media/situation.ts";
import type { Units } from "../media/units.ts";
import type { UrlRemedy } from "../media/url-remedy.ts";
import type { MediaWords } from "./media-words.ts";

export const media: MediaWords = {
  language: "en",
  situation: {
    free: ({ lastError }, units) => ({
      headline: "Free",
      cause: lastError && `The last session failed at ${units.minute(lastError.at)}: ${lastError.words}`,
      remedy: "Choose a disk image to begin",
    }),
    looking: ({ host }) =>
      host === undefined
        ? { headline: "Looking at the file…", cause: "It takes long: is it on a network drive?" }
        : { headline: "Looking at the address…", cause: `${host} is asked for the image` },
    "bad-file": ({ why }) => ({
      headline: "The file cannot be read",
      cause: why,
      remedy: "Choose it again, or wait until it is back: it is tried every second",
    }),
    "bad-url": ({ why, remedy, isTriedAgain }) => ({
      headline: "The image cannot be had from this address",
      cause: why,
      remedy: isTriedAgain ? `${REMEDIES[remedy]}. It is tried again every few seconds` : REMEDIES[remedy],
    }),
    folder: () => ({
      headline: "This is a folder",
      cause: "Only a single file can be served",
      remedy: "Choose a disk image, such as an ISO or IMG file",
    }),
    ready: () => ({ headline: "Ready to serve" }),
    interrupted: ({ awaited: { name, until }, canGoOn }, units) => ({
      headline: `The other machine waits for ${name}`,
      cause: `The page was left while it served. The disk waits until ${units.minute(until)}`,
      remedy: canGoOn ? "Go on, or choose the same file again" : "Choose the same file again to go on",
    }),
    held: ({ holder }, units) => ({
      headline: holder.state === "ending" ? "Being ejected" : `In use by ${whoIs(holder)}`,
      cause: holding(holder, units),
      remedy: takingOver(holder),
    }),
    connecting: ({ host }) => ({ headline: "Connecting…", cause: `To ${host}` }),
    waiting: ({ host }) => ({
      headline: "Connected, waiting for the other machine…",
      cause: `${host} attaches the disk`,
    }),
    attached: ({ host }) => ({
      headline: "Attached: nothing was read yet",
      cause: `${host} has the disk`,
      remedy: "Keep this page open",
    }),
    serving: ({ host, gap }, units) => ({
      headline: gap === undefined ? "Serving" : "Serving again",
      cause:
        gap === undefined ? `${host} has the disk` : `The link to ${host} was lost for ${units.span(gap)}`,
      remedy: "Keep this page open",
    }),
    unreadable: ({ why, isWebFile }) =>
      isWebFile
        ? {
            headline: "The image cannot be read from its address any more",
            cause: why,
            remedy: "Readers get errors until the web server answers with it again. If it was changed, eject",
          }
        : {
            headline: "The file cannot be read any more",
            cause: why,
            remedy: "Put the same file back: it is tried every second. Readers get errors until then",
          },
    lost: ({ host, until }, units) => ({
      headline: "Connection lost",
      cause: `The link to ${host} broke. Readers on the other machine wait; no data is lost`,
      remedy: `Nothing to do: it is tried again until ${units.minute(until)}`,
    }),
    "gateway-gone": ({ host, until }, units) => ({
      headline: "The gateway does not answer",
      cause: `Nothing answers at ${host}: the gateway was stopped, or the network is down`,
      remedy:
        until === undefined
          ? "Start nbd-gateway on the other machine again, then serve again"
          : `Start nbd-gateway on the other machine again: it is tried until ${units.minute(until)}`,
    }),
    stopping: () => ({ headline: "Ejecting…" }),
    stopped: ({ isAwaited, wasThere }) => ({
      headline: "Ejected",
      cause: isAwaited
        ? "You ejected it while the connection was lost: the other machine waits for the disk for a while"
        : wasThere
          ? "You ejected it: the other machine no longer has the disk"
          : "You ejected it before the other machine had it",
    }),
    ejected: ({ host }) => ({
      headline: "Ejected by the other machine",
      cause: `Somebody at ${host} ended it in order`,
      remedy: "Serve again, if it is still needed",
    }),
    "given-up": ({ host, why }) => ({
      headline: "Given up: the connection did not come back",
      cause: `${host}: ${why}`,
      remedy: "Look after the network, then serve again",
    }),
    "in-use": ({ why, holder }, units) => ({
      headline: "In use",
      cause: holder ? `${why}. ${holding(holder, units)}` : why,
      remedy: holder ? takingOver(holder) : "Take it over, or wait until it is free",
    }),
    "taken-over": ({ why }) => ({
      headline: "Taken over",
      cause: why,
      remedy: "Agree with whoever has it now, before you take it back",
    }),
    "another-medium": ({ why, awaited }) => ({
      headline: "The other machine waits for another file",
      cause: why,
      remedy: awaited
        ? `Choose ${awaited.name}, or serve this one instead: what waits for the other gets errors`
        : "Serve this one instead: what waits for the other gets errors",
    }),
    refused: ({ why, wantsLogin }) => ({
      headline: "Refused",
      cause: why,
      remedy: wantsLogin ? "Log in, then serve again" : "See to the cause, then serve again",
    }),
    failed: ({ why }) => ({
      headline: "Failed",
      cause: why,
      remedy: "Serve again. If it fails again, the log of the gateway says more",
    }),
  },
  drive: "Virtual drive",
  on: (place) => `as ${place}`,
  choose: "Choose a disk image, or drop one here",
  chooseAnother: "Choose another, or drop one here",
  onlyRead: "ISO, IMG or any other file. It stays on this computer, and is only read",
  address: { label: "Or the address of an image", use: "Use this address", from: (host) => `from ${host}` },
  drop: { isServing: "Eject first: another file is served", oneByOne: "Drop one file at a time" },
  bytes: (count) => `${count} bytes`,
  serve: "Serve",
  serveAgain: "Serve again",
  serveInstead: "Serve this one instead",
  eject: "Eject",
  takeOver: "Take over",
  goOn: "Go on",
  lastRead: (time) => `Last read at ${time}`,
  figures: {
    read: "Read",
    readAndWritten: "Read and written",
    requests: "Requests",
    latency: "Latency",
    mean: "mean",
    covered: "Read of the image",
    bytesRead: "Bytes read",
    bytesWritten: "Bytes written",
    errors: "Failed requests",
    uptime: (time) => `Served since ${time}`,
    outstanding: "In flight",
    hits: "Out of the cache",
    coveredOf: (covered, size) => `${covered} of ${size}`,
  },
  map: {
    title: "Map of the image",
    unread: "not read",
    times: "read, how often",
    written: "written",
    cached: "in the cache",
    cell: ({ from, to, times, written, cached }, units) =>
      [
        `${from} – ${to}`,
        `${times} × read`,
        written > 0 && `${units.share(written)} written`,
        cached > 0 && `${units.share(cached)} in the cache`,
      ]
        .filter(Boolean)
        .join(", "),
    told: ({ read, written, cached, cellSize }, units) =>
      `From the first byte to the last, a cell is ${units.bytes(cellSize)}: ${units.share(read)} of the image was read, ` +
      `${units.share(written)} written, ${units.share(cached)} lie in the cache`,
  },
  log: {
    title: "Log",
    save: "Save the log",
    levels: { info: "info", warning: "warning", error: "error" },
    empty: "Nothing has happened yet",
  },
  options: {
    title: "Options",
    cache: "Cache",
    none: "none",
    cacheHelp: "Memory of this browser for what is read often",
    whileServing: "It can be changed when nothing is served",
  },
  notes: {
    chosen: (name, size) => `${name} was chosen, ${size}`,
    cannotRead: (name, why) => `${name} cannot be read: ${why}`,
    plainRequest: (words) => `a plain request to the same address: ${words}`,
  },
};

const REMEDIES: Readonly<Record<UrlRemedy, string>> = {
  address: "Look at the address: it begins with https:// or http://, and leads to an image",
  login: "Write user and password in front of the host, as https://user:password@host/image",
  "new-signature": "If the address is signed, get a new one, or have the server allow it",
  header: "Have the server send this header, or serve the address from a terminal with nbd-serve",
  https: "Use an https:// address, or serve this one from a terminal with nbd-serve",
  download: "Download the image, and choose the file",
  wait: "Look after the web server and the network",
};

function whoIs({ isThisBrowser, address }: Holder): string {
  if (isThisBrowser) return "another tab of this browser";
  return address ?? "somebody else";
}

function holding({ state, file, size, since, until }: Holder, units: Units): string {
  const what = file === undefined ? "" : size === undefined ? file : `${file} (${units.bytes(size)})`;
  const how = {
    connecting: "being attached",
    attached: "attached",
    waiting: until === undefined ? "link lost" : `link lost, waiting for it until ${units.minute(until)}`,
    ending: "the disk is being taken away",
  }[state];
  const from = since === undefined ? "" : `since ${units.moment(since)}`;
  return [what, from, how].filter((part) => part !== "").join(", ");
}

function takingOver({ allowsTakeOver, isThisBrowser, state }: Holder): string | undefined {
  if (state === "ending") return undefined;
  if (isThisBrowser) return "Go to that tab, or take it over with a file here";
  return allowsTakeOver
    ? "Choose a file and take it over: whoever has it loses the disk"
    : "Wait until it is free: the gateway does not allow to take it over";
}
