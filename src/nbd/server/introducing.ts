import { checkMethods } from "../../streams/check.ts";
import {
  type GatewayIntroduction,
  type Introduction,
  introducedContext,
  KEY_KEPT,
  readIntroduceQuery,
  readKeyQuery,
} from "../introduction.ts";
import type { OwnContexts } from "../option/option.ts";

/** A server that introduces itself to a gateway, so that the gateway may go on with it over a new link. */
export interface Introducer {
  /** Tells of the medium and of the server. The gateway waits for it. */
  answer(gateway: GatewayIntroduction): Promise<Introduction>;
  /** Keeps the key in place of an older one. */
  keep(key: string): void | Promise<void>;
}

/**
 * The option `introduction` of a server, made from what the server has to say:
 *
 *     serve(transport, target, { introduction: introducing({ answer, keep }) })
 *
 * It is apart from the server, which works without it: a page loads it when it is needed.
 */
export function introducing(introducer: Introducer): OwnContexts {
  checkMethods(introducer, "who introduces", "an Introducer", ["answer", "keep"]);

  async function contextFor(query: string): Promise<string | undefined> {
    const gateway = readIntroduceQuery(query);
    if (gateway) return introducedContext(await introducer.answer(gateway));
    const key = readKeyQuery(query);
    if (key === undefined) return undefined;
    await introducer.keep(key);
    return KEY_KEPT;
  }

  return async (queries, tell) => {
    for (const query of queries) {
      const context = await contextFor(query);
      if (context !== undefined) await tell(context);
    }
  };
}
