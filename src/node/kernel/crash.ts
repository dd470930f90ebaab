const works = new Set<() => void>();

function onCrash() {
  for (const work of works) work();
}

/**
 * Does something, at once, when this process is about to end by an error that nobody caught. Node waits for its threads
 * then, which may wait for the kernel, which waits for this process.
 *
 * @returns what takes it back
 */
export function whenCrashing(work: () => void): () => void {
  if (works.size === 0) process.on("uncaughtExceptionMonitor", onCrash);
  works.add(work);
  return () => {
    works.delete(work);
    if (works.size === 0) process.off("uncaughtExceptionMonitor", onCrash);
  };
}
