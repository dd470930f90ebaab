/** The longest that a server's wish to wait is heeded, in milliseconds: who reads does not wait for ever either. */
const LONGEST = 30_000;

/** How long a server asks to wait, in milliseconds: Retry-After in seconds, or as a date by the server's own clock. */
export function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  const milliseconds = /^\d+$/.test(value) ? 1000 * Number(value) : Date.parse(value) - serverTime(headers);
  return milliseconds > 0 ? Math.min(milliseconds, LONGEST) : undefined;
}

function serverTime(headers: Headers): number {
  const told = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(told) ? Date.now() : told;
}
