import type { ConfigurationStatus, StatusDocument } from "../../../src/node/gateway/status/document.ts";

/** What the page knows of the gateway's configurations by now. */
export type News =
  /** All of it. */
  | { readonly kind: "status"; readonly document: StatusDocument }
  /** The gateway does not answer as it should, for a reason in words. It is asked again. */
  | { readonly kind: "lost"; readonly words: string }
  /** It wants a login first. */
  | { readonly kind: "locked" }
  /** The server is none that tells. */
  | { readonly kind: "none" };

/** The status in what a server has answered; undefined if it is none, or one of a version that this page does not know. */
export function statusIn(value: unknown): StatusDocument | undefined {
  const { version, gateway, configurations } = (value ?? {}) as Partial<StatusDocument>;
  const isStatus =
    version === 1 &&
    isObject(gateway) &&
    Array.isArray(configurations) &&
    configurations.every(isConfiguration);
  return isStatus ? (value as StatusDocument) : undefined;
}

/** The document with one configuration as it is by now. One that it does not have stands at its end. */
export function withConfiguration(document: StatusDocument, value: unknown): StatusDocument {
  if (!isConfiguration(value)) return document;
  const { configurations } = document;
  const at = configurations.findIndex(({ name }) => name === value.name);
  const others = configurations.map((one, i) => (i === at ? value : one));
  return { ...document, configurations: at < 0 ? [...others, value] : others };
}

const STATES = ["free", "connecting", "attached", "waiting", "ending"];

function isConfiguration(value: unknown): value is ConfigurationStatus {
  const { name, state, where, session } = (value ?? {}) as Partial<ConfigurationStatus>;
  return (
    typeof name === "string" &&
    STATES.includes(state ?? "") &&
    typeof where === "string" &&
    (session === null || (isObject(session) && isObject(session.peer)))
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
