import { checkAmount, checkType } from "../../streams/check.ts";

/** What one export holds of the memory. */
export interface UnflushedShare {
  /** Takes bytes. False: there is no room; nothing was taken. */
  take(bytes: number): boolean;
  /** Gives back bytes that were taken. */
  release(bytes: number): void;
  /** Gives back everything. Nothing can be taken after that. */
  close(): void;
}

interface Holder {
  used: number;
  readonly relieve: () => void;
}

/** The part of the memory beyond which those who hold most of it are asked to flush. */
const HIGH = 1 / 2;

/** Memory for what was acknowledged and not flushed, shared by all exports of a process. Nobody waits for it. */
export class UnflushedMemory {
  /** Bytes that are held at most. */
  readonly limit: number;
  readonly #holders = new Set<Holder>();
  #used = 0;

  /** @param limit bytes. Default 32 MiB */
  constructor(limit = 1 << 25) {
    checkAmount(limit, "the memory for what is not flushed, in bytes,");
    this.limit = limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** @param relieve is called, perhaps often, when memory is short and this share has an equal part of it or more: to flush */
  share(relieve: () => void): UnflushedShare {
    checkType(relieve, "relieve", "function");
    const holder: Holder = { used: 0, relieve };
    this.#holders.add(holder);
    let isClosed = false;
    const release = (bytes: number) => {
      if (isClosed) return;
      holder.used -= bytes;
      this.#used -= bytes;
    };
    return {
      release,
      take: (bytes) => {
        const hasRoom = !isClosed && this.#used + bytes <= this.limit;
        if (hasRoom) {
          holder.used += bytes;
          this.#used += bytes;
        }
        if (this.#used > this.limit * HIGH) this.#relieve();
        return hasRoom;
      },
      close: () => {
        release(holder.used);
        isClosed = true;
        this.#holders.delete(holder);
      },
    };
  }

  #relieve() {
    const part = (this.limit * HIGH) / this.#holders.size;
    for (const { used, relieve } of this.#holders) if (used >= part) relieve();
  }
}

/** The memory of this process or page. */
export const unflushedMemory = new UnflushedMemory();
