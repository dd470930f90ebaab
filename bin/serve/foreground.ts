import { readFileSync } from "node:fs";

/** Whether the terminal is this process's, and not a shell's that has put it in the background. True where no system tells. */
export function isInForeground(): boolean {
  try {
    // The name of the program comes before, in parentheses, and may have any character in it.
    const fields = readFileSync("/proc/self/stat", "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    const [group, foreground] = [Number(fields[2]), Number(fields[5])];
    return group === foreground || !(foreground > 0);
  } catch {
    return true;
  }
}
