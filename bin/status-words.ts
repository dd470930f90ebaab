import { oneLine } from "../src/nbd/one-line.ts";
import type {
  ConfigurationStatus,
  RequestStatus,
  SessionStatus,
  StatusDocument,
} from "../src/node/gateway/status/document.ts";
import { amountOf } from "../src/node/log/amount.ts";
import { timeSpan } from "../src/node/log/time-span.ts";

/** The status of a gateway in words for people, one paragraph for each configuration. */
export function statusWords({ gateway, configurations }: StatusDocument, now = Date.now()): string {
  const up = timeSpan(gateway.uptime * 1000);
  const paragraphs = configurations.map((one) => paragraph(one, now));
  const lines = [`nbd-gateway ${gateway.version}, up for ${up}`, ...paragraphs.flat()];
  // What a peer calls its medium is in it, and another gateway may send anything.
  return lines.map((line) => `${line.startsWith(INDENT) ? INDENT : ""}${oneLine(line)}\n`).join("");
}

const INDENT = "  ";

function paragraph(
  { name, state, where, isReadOnly, session, lastError }: ConfigurationStatus,
  now: number,
): string[] {
  const first = `${name}: ${state}, ${where}${isReadOnly ? ", read-only" : ""}`;
  const failed = lastError
    ? [`failed ${timeSpan(Math.max(0, now - Date.parse(lastError.at)))} ago: ${lastError.words}`]
    : [];
  return [first, ...[...(session ? sessionLines(session, now) : []), ...failed].map((line) => INDENT + line)];
}

function sessionLines(
  { id, since, medium, peer, waitingUntil, link, requests, outstanding }: SessionStatus,
  now: number,
): string[] {
  const what = medium
    ? `${medium.name || "a medium without a name"}, ${amountOf(medium.size)}, ${medium.isWritable ? "writable" : "read-only"}`
    : "a medium that is not known yet";
  const other = peer.source ?? peer.address;
  const from = other === null ? "" : `, from ${other}`;
  const lost = waitingUntil
    ? [
        `the link is lost; waited for ${timeSpan(Math.max(0, Date.parse(waitingUntil) - now))} more` +
          (outstanding > 0
            ? `; ${outstanding === 1 ? "1 request waits" : `${outstanding} requests wait`}`
            : ""),
      ]
    : [];
  const { read, write } = requests;
  const moved = [transferred(read, "reads"), transferred(write, "writes")].filter((one) => one !== undefined);
  const errors = Object.values(requests).reduce((all, one) => all + one.errors, 0);
  if (errors > 0) moved.push(`${errors} failed`);
  if (link.roundTrip !== null)
    moved.push(`${(link.roundTrip * 1000).toFixed(1)} ms to the other side and back`);
  if (link.losses > 0) moved.push(`link lost ${link.losses === 1 ? "once" : `${link.losses} times`}`);
  const ago = timeSpan(Math.max(0, now - Date.parse(since)));
  return [
    `${what}${from}, for ${ago}, session ${id}`,
    ...lost,
    ...(moved.length > 0 ? [moved.join(", ")] : []),
  ];
}

function transferred(requests: RequestStatus | undefined, name: string): string | undefined {
  return requests && `${amountOf(requests.bytes)} in ${requests.count.toLocaleString("en-US")} ${name}`;
}
