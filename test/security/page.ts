import { mkdir, writeFile } from "node:fs/promises";

/** Writes the folder of a page, with a file that is worth compressing, and gives its path. */
export async function writePage(folder: string): Promise<string> {
  await mkdir(folder);
  await writeFile(`${folder}/index.html`, "the page");
  await writeFile(`${folder}/page.js`, "let page;\n".repeat(10_000));
  return folder;
}
