const DATABASE = "nbd-proxy";

/** What is kept there: handles of files by a name, and what was served before by a number. */
const STORES = ["handles", "served"] as const;

export type Store = (typeof STORES)[number];

/** Whether this browser has a database for this page. It may refuse to keep anything all the same. */
export const hasDatabase = typeof indexedDB !== "undefined";

/** Does one thing with what is kept. Undefined if that fails: a browser may have been told to keep nothing. */
export async function access<T>(
  store: Store,
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => Promise<T>,
): Promise<T | undefined> {
  let database: IDBDatabase | undefined;
  try {
    const opening = indexedDB.open(DATABASE, 2);
    opening.onupgradeneeded = () => {
      const { result: fresh } = opening;
      for (const name of STORES) {
        if (!fresh.objectStoreNames.contains(name))
          fresh.createObjectStore(name, { autoIncrement: name === "served" });
      }
    };
    database = await result(opening);
    return await use(database.transaction(store, mode).objectStore(store));
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

/** What a request of a database gives. */
export function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
