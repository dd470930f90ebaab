const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/** A number of bytes in short, for people: "512 bytes", "4.2 MB", "812 MB". */
export function amountOf(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit++;
  }
  const digits = unit > 0 && amount < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)} ${UNITS[unit]}`;
}
