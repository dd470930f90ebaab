/** Milliseconds between two looks. */
const LOOK = 5000;

/** How many questions in a row may go unanswered. A page that was busy hears the answers late, but hears one before it asks this often. */
const PATIENCE = 3;

export interface WorkerWatch {
  /** Something came. */
  heard(): void;
  end(): void;
}

/**
 * Watches a Worker from which nothing has to come, since no browser tells that one has died.
 * @param ask has it answer
 * @param onDead called once, when it does not
 */
export function watchWorker(ask: () => void, onDead: () => void): WorkerWatch {
  let unanswered = 0;
  let hasHeard = true;
  const timer = setInterval(() => {
    if (hasHeard) unanswered = 0;
    else if (unanswered === PATIENCE) {
      clearInterval(timer);
      return onDead();
    } else {
      unanswered++;
      ask();
    }
    hasHeard = false;
  }, LOOK);
  return {
    heard() {
      hasHeard = true;
    },
    end: () => clearInterval(timer),
  };
}
