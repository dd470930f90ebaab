import type { ConfigurationStatus, StatusDocument } from "../../src/node/gateway/status/document.ts";
import type { OfferedConfiguration } from "./configurations.ts";

/** A place on the other machine that a disk can have: what a card is for. */
export interface Slot {
  /** The name, as it stands in the URL; "" is the default one of a relay. */
  readonly name: string;
  /** What its configuration says of it; "" if that is nothing. */
  readonly description: string;
  readonly isDefault: boolean;
  /** Where its disk is on the other machine; undefined if that is not known. */
  readonly place: string | undefined;
  /** What goes on there; undefined where nobody tells. */
  readonly status: ConfigurationStatus | undefined;
}

/**
 * What there are cards for, in the order of the gateway: what it offers, and what it tells of besides, as a configuration that has
 * left its file and still has a session.
 */
export function slotsOf(
  offered: readonly OfferedConfiguration[],
  document: StatusDocument | undefined,
): Slot[] {
  if (!document) return offered.map((one) => ({ place: undefined, ...one, status: undefined }));
  const known = new Map(offered.map((one) => [one.name, one]));
  return document.configurations.map((status) => {
    const { name, where, isDefault } = status;
    const { description = "", place = where } = known.get(name) ?? {};
    return { name, description, isDefault, place, status };
  });
}

/** What the gateway tells of other configurations than it has offered, as a word; undefined if they are the same. */
export function newsIn(
  offered: readonly OfferedConfiguration[],
  { configurations }: StatusDocument,
): string | undefined {
  const known = new Set(offered.map(wordFor));
  // What has left the file is there for as long as its session is.
  const told = configurations.filter(
    ({ session, name }) => !session || offered.some((one) => one.name === name),
  );
  const isSame = told.length === offered.length && told.every((one) => known.has(wordFor(one)));
  return isSame ? undefined : JSON.stringify(configurations.map(wordFor));
}

function wordFor({ name, isDefault }: Pick<OfferedConfiguration, "name" | "isDefault">): string {
  return JSON.stringify([name, isDefault]);
}
