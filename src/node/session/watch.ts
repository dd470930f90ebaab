/** Tells at any time whether something has ended. */
export interface Watch {
  /** Resolves when what is watched has ended, in whatever way. */
  readonly gone: Promise<void>;
  readonly isGone: boolean;
}

/** Watches for an end of life; without one it never comes. */
export function watch(end: Promise<void> = new Promise(() => {})): Watch {
  let isGone = false;
  const note = () => {
    isGone = true;
  };
  return {
    gone: end.then(note, note),
    get isGone() {
      return isGone;
    },
  };
}

/** Works with a signal that is aborted also when what is watched is gone. */
export async function unlessGone<T>(
  { gone }: Watch,
  signal: AbortSignal,
  work: (hurry: AbortSignal) => Promise<T>,
): Promise<T> {
  const hurry = new AbortController();
  const abort = () => hurry.abort();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  gone.then(abort);
  try {
    return await work(hurry.signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
