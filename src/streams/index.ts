/** The entry "nbd-proxy/streams": the algebra of streams, which knows nothing of NBD. */
export { ByteBudget, type Room, type Share } from "./budget.ts";
export { ByteQueue } from "./byte-queue.ts";
export { concat } from "./concat.ts";
export { type ConcurrentOptions, concurrent } from "./concurrent.ts";
export type { Duplex, Layer, Transport } from "./duplex.ts";
export { Ended } from "./ended.ts";
export { type ForOthers, withWordsForOthers, wordsForOthers } from "./for-others.ts";
export type { Items } from "./items.ts";
export { type JoinOptions, join } from "./join.ts";
export { giveBack, isLent, lend } from "./lent.ts";
export { type Keeper, MemoryBudget, type MemoryShare } from "./memory-budget.ts";
export { type Dialogue, type DialogueOutcome, negotiate } from "./negotiate.ts";
export { duplexPair, type PairEnd, transportPair } from "./pair.ts";
export { type ParseOptions, type Parser, Parsing, parse, UnexpectedEndError } from "./parse.ts";
export { type Push, type PushOptions, push } from "./push.ts";
export { type LayerTransformer, type TransformController, transform } from "./transform.ts";
