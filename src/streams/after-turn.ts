const { setImmediate: immediately } = globalThis as { setImmediate?: (work: () => void) => unknown };

/**
 * Does something once all that has come by now has been dealt with: Node goes on only then. Where the runtime has
 * no such time, as in browsers, once the work at hand is done.
 */
export const afterTurn: (work: () => void) => unknown = immediately ?? queueMicrotask;
