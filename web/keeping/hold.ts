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
  const held = await heldNames();
  if (held) return held.includes(name);
  const asked = await ask(name, false);
  asked?.channel.close();
  return !asked || asked.isOthers;
}

/** The names that are held; undefined if the browser does not tell. */
async function heldNames(): Promise<(string | undefined)[] | undefined> {
  try {
    const { held } = await navigator.locks.query();
    return held?.map((one) => one.name);
  } catch {
    return undefined;
  }
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

/** Holds a name where there are no locks. Two that ask at the same time are both refused: better than that both have it. */
async function asked(name: string): Promise<Hold | undefined> {
  const { channel, isOthers } = (await ask(name, true)) ?? {};
  if (channel && !isOthers) return { release: () => channel.close() };
  channel?.close();
  return undefined;
}

/**
 * Asks all pages of this browser whether they hold a name.
 * @param answers whether this page says that it does, when it is asked
 * @returns undefined if the browser keeps its pages apart
 */
async function ask(
  name: string,
  answers: boolean,
): Promise<{ readonly channel: BroadcastChannel; readonly isOthers: boolean } | undefined> {
  try {
    const channel = new BroadcastChannel(name);
    let isOthers = false;
    channel.onmessage = ({ data }) => {
      if (data === QUESTION && answers) channel.postMessage(ANSWER);
      else if (data === ANSWER) isOthers = true;
    };
    channel.postMessage(QUESTION);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_TIME));
    return { channel, isOthers };
  } catch {
    return undefined;
  }
}
