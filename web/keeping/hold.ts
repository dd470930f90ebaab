/** A name that this tab holds, until it gives it back, is reloaded, or dies. */
export interface Hold {
  release(): void;
}

/** Milliseconds for which a tab that holds a name has to say so. */
const ANSWER_TIME = 500;

/** Milliseconds between two attempts where a browser has no locks. */
const INTERVAL = 2000;

const QUESTION = "whose?";
const ANSWER = "mine";

/**
 * Holds a name for this tab, if no other tab of this browser does. A tab that holds one is not frozen by Chromium.
 *
 * A page over plain HTTP has no locks: there the other tabs are asked. One that is frozen does not answer, and serves nobody.
 *
 * @returns undefined if another tab holds the name, or the browser does not tell
 */
export async function hold(name: string): Promise<Hold | undefined> {
  return navigator.locks ? locked(name, { ifAvailable: true }) : asked(name);
}

/** Holds a name as soon as no other tab does. Returns undefined if the signal is aborted before that. */
export async function holdWhenFree(name: string, signal: AbortSignal): Promise<Hold | undefined> {
  if (navigator.locks) return locked(name, { signal });
  while (!signal.aborted) {
    const got = await asked(name);
    if (got) return got;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
  return undefined;
}

/** Whether a tab holds a name. */
export async function isHeld(name: string): Promise<boolean> {
  // To look takes nothing from a tab that is about to hold it.
  const { held } = (await navigator.locks?.query().catch(() => undefined)) ?? {};
  if (held) return held.some((one) => one.name === name);
  const got = await hold(name);
  got?.release();
  return !got;
}

function locked(name: string, options: LockOptions): Promise<Hold | undefined> {
  return new Promise((resolve) => {
    const request = navigator.locks.request(name, options, (lock) => {
      if (!lock) return resolve(undefined);
      return new Promise<void>((release) => resolve({ release: () => release() }));
    });
    request.catch(() => resolve(undefined));
  });
}

async function asked(name: string): Promise<Hold | undefined> {
  try {
    const channel = new BroadcastChannel(name);
    let isOthers = false;
    // Two that ask at the same time are both refused: better than that both have it.
    channel.onmessage = ({ data }) => {
      if (data === QUESTION) channel.postMessage(ANSWER);
      else if (data === ANSWER) isOthers = true;
    };
    channel.postMessage(QUESTION);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_TIME));
    if (!isOthers) return { release: () => channel.close() };
    channel.close();
  } catch {
    // The browser keeps tabs apart. Then nothing is held.
  }
  return undefined;
}
