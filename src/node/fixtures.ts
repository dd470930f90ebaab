/** The entry "nbd-proxy/fixtures" for Node. */
export * from "../fixtures.ts";
export { type Recording, recordToFile } from "./recording.ts";
