/**
 * A word of a command line of a unit (`ExecStart=`), which systemd reads as it is (systemd.service(5), "Command lines").
 * @throws Error when a unit cannot have it
 */
export function quoteWord(word: string): string {
  if (/\p{Cc}/u.test(word)) throw new Error("a unit cannot name a path with control characters in it");
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$").replace(/[\\"]/g, "\\$&");
  return /^[\w./@:%+=,$-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}
