const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Numbers with their units, in the words of a language. What is shown in one place has always as many decimals there. */
export class Units {
  readonly #whole: Intl.NumberFormat;
  readonly #tenths: Intl.NumberFormat;
  readonly #clock: Intl.DateTimeFormat;
  readonly #minutes: Intl.DateTimeFormat;

  readonly #short: Intl.NumberFormat;
  /** As in `lang`. */
  readonly language: string;

  constructor(language: string) {
    this.language = language;
    this.#short = new Intl.NumberFormat(language, { maximumSignificantDigits: 2, notation: "compact" });
    this.#whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
    this.#tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    this.#minutes = new Intl.DateTimeFormat(language, clock);
    this.#clock = new Intl.DateTimeFormat(language, { ...clock, second: "2-digit" });
  }

  /** A number of bytes: "286.1 MiB". */
  bytes(bytes: number): string {
    let value = bytes;
    let size = 0;
    // A value that would be shown as 1024.0 has the next size.
    while (value >= (size === 0 ? 1024 : 1023.95) && size < SIZES.length - 1) {
      value /= 1024;
      size++;
    }
    return `${size === 0 ? this.#whole.format(value) : this.#tenths.format(value)} ${SIZES[size]}`;
  }

  /** Bytes a second, always in the same unit, so that what is faster also looks larger: "0.4 MiB/s". */
  rate(bytesPerSecond: number): string {
    return `${this.#tenths.format(bytesPerSecond / 2 ** 20)} MiB/s`;
  }

  /** A number beside an axis: "0.5", "14K". */
  tick(value: number): string {
    return this.#short.format(value);
  }

  /** Whatever is counted: "12,345". */
  count(number: number): string {
    return this.#whole.format(number);
  }

  /** Something a second: "3,300/s". */
  perSecond(number: number): string {
    return `${this.#whole.format(number)}/s`;
  }

  /** Milliseconds: "0.4 ms". */
  latency(milliseconds: number): string {
    return `${this.#tenths.format(milliseconds)} ms`;
  }

  /** A share between 0 and 1: "12.3 %". Neither nothing nor all is said of what is only almost that. */
  share(share: number): string {
    const tenths = share * 1000;
    const shown = share > 0 && share < 1 ? Math.min(Math.max(Math.round(tenths), 1), 999) : tenths;
    return `${this.#tenths.format(shown / 10)} %`;
  }

  /** A span: "12 s", "4 min", "1 h 4 min". */
  span(milliseconds: number): string {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${this.count(Math.floor(minutes / 60))} h ${minutes % 60} min`;
  }

  /** The time of day, in milliseconds since 1970: "14:05:09". */
  clock(at: number): string {
    return this.#clock.format(at);
  }

  /** The time of day: "14:05". */
  minute(at: number): string {
    return this.#minutes.format(at);
  }
}
