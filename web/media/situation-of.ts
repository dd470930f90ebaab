import { oneLine } from "../../src/nbd/one-line.ts";
import { ANOTHER_MEDIUM, IN_USE, TAKEN_OVER } from "../../src/transport/close-codes.ts";
import type { ServingReport } from "../serving/report.ts";
import { hostOf, isWebFile } from "../serving/source.ts";
import type { Chosen, Run } from "./drive.ts";
import type { UrlFault } from "./look-at.ts";
import { peerName } from "./peer-name.ts";
import type { RemoteStatus } from "./remote-status.ts";
import { shownNameText } from "./shown-name.ts";
import type { Awaited, Holder, Situation } from "./situation.ts";
import { urlRemedy } from "./url-remedy.ts";

/** What a situation is made of. */
export interface Known {
  /** The other machine, as in a URL. */
  readonly host: string;
  readonly chosen: Chosen | undefined;
  readonly run: Run | undefined;
  /** Why nothing could even begin to serve. */
  readonly fault: string | undefined;
  readonly awaited: (Awaited & { readonly handle: unknown }) | undefined;
  /** What the gateway tells of the place. */
  readonly remote: RemoteStatus | undefined;
  /** The session there that is, or was, this card's own. */
  readonly ownSession: string | undefined;
  /** Whether another tab of this browser has the place. */
  readonly isHeldHere: boolean;
}

export function situationOf(known: Known): Situation {
  const { run, chosen, awaited, remote } = known;
  const report = run?.report;
  if (run && report?.state !== "ended" && report?.state !== "failed") return running(run, report, known.host);
  if (chosen?.isFolder) return { kind: "folder" };
  if (chosen && typeof chosen.look === "object") return unreadable(chosen.look);
  if (known.fault !== undefined) return { kind: "failed", why: sentence(known.fault) };
  const holder = holderOf(known);
  if (run && report) {
    const end = endOf(run, report, known, holder);
    // What came after the end is news.
    const isTold = end.kind === "in-use" || end.kind === "taken-over" || end.kind === "another-medium";
    const isOver = end.kind === "in-use" && remote?.state === "free";
    if (!isOver && (isTold || !holder)) return end;
  }
  if (chosen?.look === "slow") {
    return { kind: "looking", host: isWebFile(chosen.file) ? hostOf(chosen.file) : undefined };
  }
  if (holder && !(awaited && holder.state === "waiting")) return { kind: "held", holder };
  if (awaited) return { kind: "interrupted", awaited: shown(awaited), canGoOn: canBeHad(awaited) };
  if (chosen) return { kind: "ready" };
  const { words, at } = remote?.lastError ?? {};
  return {
    kind: "free",
    lastError:
      words !== undefined && at !== undefined ? { words: oneLine(words), at: Date.parse(at) } : undefined,
  };
}

/** What is said of what was chosen and cannot be read. */
function unreadable(fault: { readonly fault: string } | UrlFault): Situation {
  if (!("code" in fault)) return { kind: "bad-file", why: fault.fault };
  const { code, mayPass } = fault;
  return { kind: "bad-url", why: sentence(fault.fault), remedy: urlRemedy(code), isTriedAgain: mayPass };
}

/** Whether the page knows where it is. */
function canBeHad({ handle, url }: NonNullable<Known["awaited"]>): boolean {
  return handle !== undefined || url !== undefined;
}

/** What is said of a server that runs. */
function running(run: Run, report: ServingReport | undefined, host: string): Situation {
  if (run.stop !== "none") return { kind: "stopping" };
  switch (report?.state) {
    case "waiting":
      return { kind: "waiting", host };
    case "serving":
      return run.hasRead ? { kind: "serving", host, gap: run.gap } : { kind: "attached", host };
    case "unreadable":
      return { kind: "unreadable", why: sentence(run.fault), isWebFile: isWebFile(run.file) };
    case "reconnecting": {
      const until = report.lost?.until ?? report.since;
      if (run.refusal?.isAnswered === false) return { kind: "gateway-gone", host, until };
      return { kind: "lost", host, until };
    }
    default:
      return { kind: "connecting", host };
  }
}

/** What is said of the end of a server. */
function endOf(
  run: Run,
  report: ServingReport,
  { host, awaited }: Known,
  holder: Holder | undefined,
): Situation {
  const { failure, wasOpen, lost, state } = report;
  const { refusal } = run;
  if (run.stop !== "none")
    return {
      kind: "stopped",
      isAwaited: run.stop === "asked-while-lost",
      wasThere: run.servedSince !== undefined,
    };
  const told = sentence(failure?.reason ?? "");
  if (failure?.code === ANOTHER_MEDIUM) {
    return { kind: "another-medium", why: told, awaited: awaited && shown(awaited) };
  }
  if (failure?.code === TAKEN_OVER) return { kind: "taken-over", why: told, holder };
  if (failure?.code === IN_USE) return { kind: "in-use", why: told, holder };
  if (refusal?.isAnswered === false) return { kind: "gateway-gone", host, until: undefined };
  if (state === "ended") return { kind: "ejected", host };
  const words = sentence(failure?.words ?? "");
  if (lost && failure?.code === undefined) return { kind: "given-up", host, why: words };
  // What goes wrong here is refused by nobody.
  if (!wasOpen && (refusal || failure?.code !== undefined)) {
    const { wantsLogin = false } = refusal ?? {};
    return { kind: "refused", why: refusal ? `${words}: ${oneLine(refusal.words)}` : words, wantsLogin };
  }
  return { kind: "failed", why: words };
}

/** Who has the place, if that is not this card. */
function holderOf({ remote, ownSession, isHeldHere }: Known): Holder | undefined {
  const { session, state } = remote ?? {};
  if (!remote || !session || state === undefined || state === "free" || session.id === ownSession)
    return undefined;
  const { medium, peer, since, waitingUntil } = session;
  return {
    state,
    isThisBrowser: isHeldHere,
    address: peerName(peer),
    since: Date.parse(since),
    until: waitingUntil === null ? undefined : Date.parse(waitingUntil),
    file: medium ? shownNameText(medium.name) : undefined,
    size: medium?.size,
    allowsTakeOver: remote.allowsTakeOver,
  };
}

function shown({ name, size, until }: Awaited): Awaited {
  return { name: shownNameText(name), size, until };
}

/** Untrusted words, with a capital letter in front. */
function sentence(words: string): string {
  const line = oneLine(words);
  return line.charAt(0).toUpperCase() + line.slice(1);
}
