import { Board } from "../../../src/node/gateway/status/board.ts";
import { Events } from "../../../src/node/gateway/status/events.ts";
import { Overview } from "../../../src/node/gateway/status/overview.ts";
import type { Config } from "../../../src/node/index.ts";

/** What a gateway has for those who look on, for a test of a part of it. */
export function onLookers(config: Config): { board: Board; overview: Overview; events: Events } {
  const board = new Board();
  const overview = new Overview(config, board);
  const events = new Events({
    document: () => overview.document(),
    configuration: (name) => overview.configuration(name),
    busy: () => board.held,
    most: config.limits.eventListeners,
  });
  board.listen((name) => events.changed(name));
  return { board, overview, events };
}
