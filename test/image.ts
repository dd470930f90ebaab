/** Disk images that tests serve, and how they are compared. */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/** Writes a file of random bytes and returns its SHA-256 in hex. */
export async function randomImage(path: string, size: number): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "w");
  try {
    for (let left = size; left > 0; ) {
      const chunk = randomBytes(Math.min(left, 1 << 22));
      hash.update(chunk);
      await file.writeFile(chunk);
      left -= chunk.byteLength;
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** The SHA-256 of a file, in hex. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
