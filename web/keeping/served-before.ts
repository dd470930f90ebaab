import { access, result } from "./database.ts";
import type { FileHandle } from "./file-handle.ts";

/** A file that was served, such that it can be served again with one click. */
export interface ServedBefore {
  /** The gateway: the path of its page, and the name of its machine, as tunnels put many machines at one address. */
  readonly path: string;
  readonly host: string;
  /** The name of its configuration. */
  readonly configuration: string;
  /** The file's name, and its size in bytes. */
  readonly name: string;
  readonly size: number;
  /** When it was served last, in milliseconds since 1970. */
  readonly at: number;
  readonly handle: FileHandle;
}

/** One that is kept, with the number that it is kept under. */
export interface KeptServed extends ServedBefore {
  readonly key: IDBValidKey;
}

/** The most that are kept, of all gateways. */
const MOST = 50;

/** What was served before at a gateway, the last one first. */
export async function listServed({ path, host }: Pick<ServedBefore, "path" | "host">): Promise<KeptServed[]> {
  return (await all()).filter((one) => one.path === path && one.host === host);
}

/** Keeps what was served. The same file in the same place is kept once; of too many the oldest goes. */
export async function noteServed(served: ServedBefore): Promise<void> {
  const kept = await all();
  const same = await Promise.all(kept.map((one) => isSame(one, served)));
  const [{ key = undefined } = {}, ...more] = kept.filter((_, i) => same[i]);
  const others = kept.filter((_, i) => !same[i]);
  await forget([...more, ...others.slice(MOST - 1)]);
  await access("served", "readwrite", (store) => result(store.put(served, key)));
}

/** Forgets some of it. */
export async function forget(kept: readonly Pick<KeptServed, "key">[]): Promise<void> {
  if (kept.length === 0) return;
  await access("served", "readwrite", (store) =>
    Promise.all(kept.map(({ key }) => result(store.delete(key)))),
  );
}

/** Forgets all that was served from pages at a path, whatever machine that was. */
export async function forgetServed(path: string): Promise<void> {
  await forget((await all()).filter((one) => one.path === path));
}

/** All that is kept, the last one first. What makes no sense is left out. */
async function all(): Promise<KeptServed[]> {
  const kept = await access("served", "readonly", async (store) => {
    const found = [result(store.getAllKeys()), result<Partial<ServedBefore>[]>(store.getAll())] as const;
    const [keys, values] = await Promise.all(found);
    return keys.map((key, i) => ({ ...values[i], key }));
  });
  return (kept ?? []).filter(isServed).sort((one, other) => other.at - one.at);
}

function isServed(kept: Partial<KeptServed>): kept is KeptServed {
  const { path, host, configuration, name, size, at, handle } = kept;
  return (
    [path, host, configuration, name].every((value) => typeof value === "string") &&
    [size, at].every((value) => typeof value === "number") &&
    handle?.kind === "file"
  );
}

async function isSame(one: ServedBefore, other: ServedBefore): Promise<boolean> {
  const { path, host, configuration, handle } = other;
  if (one.path !== path || one.host !== host || one.configuration !== configuration) return false;
  return (await handle.isSameEntry?.(one.handle)) ?? one.name === other.name;
}
