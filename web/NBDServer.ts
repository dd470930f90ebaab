/**
 * One file for the source of another page, in place of an NBDServer of its own, such as that of webui-vue: an ES module that
 * loads nothing else.
 */

export type { ReadProgress } from "../src/export/filters/read-meter.ts";
export {
  NBDServer,
  NBDServer as default,
  type NBDServerConstructor,
  type NBDServerState,
  type PageServerOptions,
  type ServingPlace,
} from "../src/NBDServer.ts";
