/* Close codes of a WebSocket that are ours (RFC 6455, section 7.4.2: 4000 to 4999). The close reason has words for people. */

/** A failure that has no code of its own. */
export const FAILED = 4000;

/** Another session takes the place of this one. Nobody should try again by itself. */
export const TAKEN_OVER = 4001;

/** Another session has the place, or has just taken it over. */
export const IN_USE = 4002;

/** The medium is not the one that a session waits for, or has. Nobody should try again by itself. */
export const ANOTHER_MEDIUM = 4003;

/** Nothing came over the link any more, so it was given up. The other side may wait for the next one. */
export const SILENT = 4004;

/**
 * Close codes after which the other side may be had again: it goes away, there was no close frame, it or a proxy failed
 * (RFC 6455, section 7.4.1, and IANA's registry), it heard nothing of this side.
 */
export const LOST: ReadonlySet<number> = new Set([1001, 1006, 1011, 1012, 1013, 1014, SILENT]);
