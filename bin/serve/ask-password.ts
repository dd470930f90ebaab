import { openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { endBy } from "./interrupt.ts";

/** Characters of the longest password that is taken. */
const LONGEST = 4096;

/** What keys send. */
const INTERRUPT = "\x03";
const ENDS = ["\r", "\n", "\x04"];
const BACKSPACES = ["\b", "\x7f"];
const CLEAR = "\x15";

/**
 * Asks for a password on the terminal of this process, which does not show it. Ctrl-C ends the process.
 * @throws Error when there is no terminal
 */
export async function askPassword(question: string): Promise<string> {
  let descriptor: number;
  try {
    // Standard input and output may be a pipe, or the wire.
    descriptor = openSync("/dev/tty", "r+");
  } catch {
    throw new Error("there is no terminal on which to ask for the password; use --password-file FILE");
  }
  const terminal = new ReadStream(descriptor);
  let password: string | undefined;
  try {
    terminal.setRawMode(true);
    writeSync(descriptor, question);
    password = await typed(terminal);
    terminal.setRawMode(false);
    writeSync(descriptor, "\n");
  } finally {
    terminal.destroy();
  }
  if (password === undefined) endBy("SIGINT");
  return password ?? "";
}

/** What is typed up to Enter; undefined: Ctrl-C. */
function typed(terminal: ReadStream): Promise<string | undefined> {
  terminal.setEncoding("utf8");
  let password = "";
  return new Promise((resolve, reject) => {
    terminal.on("data", (text: string) => {
      for (const key of text) {
        if (ENDS.includes(key)) return resolve(password);
        if (key === INTERRUPT) return resolve(undefined);
        if (key === CLEAR) password = "";
        else if (BACKSPACES.includes(key)) password = [...password].slice(0, -1).join("");
        else if (password.length < LONGEST) password += key;
      }
    });
    const gone = () => reject(new Error("the terminal is gone on which the password was asked for"));
    terminal.once("end", gone);
    terminal.once("error", gone);
  });
}
