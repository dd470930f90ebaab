/** Runs in User-Mode Linux: see replaced.ts. */
import { compareWays } from "./replaced-ways.ts";

await compareWays(Number(process.env.ROUNDS), 0, 256);
