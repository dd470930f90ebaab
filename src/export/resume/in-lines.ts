/**
 * Works on all items, `lines` of them at a time, and on no more once one has failed. Rejects with the first failure, once all that
 * were begun have settled.
 */
export async function inLines<T>(
  items: readonly T[],
  lines: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  const line = async () => {
    while (next < items.length && !failure) {
      try {
        await work(items[next++]!);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lines, items.length) }, line));
  if (failure) throw (failure as { error: unknown }).error;
}
