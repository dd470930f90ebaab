import type { FileHandle } from "./file-handle.ts";

const DATABASE = "nbd-proxy";
const STORE = "handles";

/** The handle that is kept under a name. */
export async function readHandle(name: string): Promise<FileHandle | undefined> {
  return access("readonly", (store) => result<FileHandle | undefined>(store.get(name)));
}

/** Keeps a handle; undefined: forgets it. Where a browser keeps none, the file has to be chosen again. */
export async function writeHandle(name: string, handle: FileHandle | undefined): Promise<void> {
  await access("readwrite", async (store) => {
    await (handle ? result(store.put(handle, name)) : result(store.delete(name)));
  });
}

/** Does one thing with what is kept. Undefined if that fails: a browser may have been told to keep nothing. */
async function access<T>(
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => Promise<T>,
): Promise<T | undefined> {
  let database: IDBDatabase | undefined;
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    database = await result(opening);
    return await use(database.transaction(STORE, mode).objectStore(STORE));
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
