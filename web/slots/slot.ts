import type { ConfigurationStatus, StatusDocument } from "../../src/node/gateway/status/document.ts";
import type { OfferedConfiguration } from "./configurations.ts";

/** A place on the other machine that a disk can have: what a card is for. */
export interface Slot {
  /** The name, as it stands in the URL; "" is the default one of a relay. */
  readonly name: string;
  readonly label: string;
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
  if (!document) return offered.map(({ name, label, place }) => ({ name, label, place, status: undefined }));
  const labels = new Map(offered.map(({ name, label }) => [name, label]));
  return document.configurations.map((status) => {
    const { name, where } = status;
    return { name, label: labels.get(name) ?? name, place: where, status };
  });
}

/** Whether the gateway tells of other configurations than it has offered, so that it should be asked anew what they are. */
export function isOutdated(
  offered: readonly OfferedConfiguration[],
  { configurations }: StatusDocument,
): boolean {
  const known = new Map(offered.map(({ name, isDefault }) => [name, isDefault]));
  return (
    offered.length > configurations.length ||
    configurations.some(({ name, isDefault, session }) => !session && known.get(name) !== isDefault)
  );
}
