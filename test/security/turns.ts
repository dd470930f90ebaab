/** How many turns of the event loop something takes: whoever else is there has one of each. */

/** Counts the turns until a promise settles, and gives what it brings. */
export async function turnsUntil<T>(promise: Promise<T>): Promise<{ turns: number; result: T }> {
  let turns = 0;
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  while (!isOver) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    turns++;
  }
  return { turns, result: await promise };
}

/** The fewest turns that so many items may take: about a thousand in each, with some to spare. */
export const fewest = (items: number) => Math.floor(items / 1200);
