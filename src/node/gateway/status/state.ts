import type { Session } from "../../session/session-state.ts";

/**
 * What a configuration is at, for those who look on:
 *
 * - `free`: nobody has it.
 * - `connecting`: somebody has it, and its disk is not there yet.
 * - `attached`: its disk can be used.
 * - `waiting`: the link is lost. What is asked of the disk, which may not be there yet, waits for a new link.
 * - `ending`: its disk is being taken away.
 *
 * From `free` to `connecting`; from there to `attached`, or, when that fails, to `free`; from `connecting` and `attached`
 * to `waiting` and back, any number of times; from these three to `ending`, and from there to `free`.
 */
export type ConfigurationState = "free" | "connecting" | "attached" | "waiting" | "ending";

/** The state that a session gives its configuration. */
export function stateWith(session: Pick<Session, "state"> | undefined): ConfigurationState {
  if (!session) return "free";
  const { state } = session;
  if (state === "attaching") return "connecting";
  return state === "ended" ? "ending" : state;
}
