import type { IncomingMessage, ServerResponse } from "node:http";
import * as v from "valibot";
import { HttpError } from "../../export/http/http-error.ts";
import { oneLine } from "../../nbd/one-line.ts";
import { deadline } from "../../streams/deadline.ts";
import { wordsForOthers } from "../../streams/for-others.ts";
import { withWordsOfPull } from "../pull/pull-fault.ts";
import { SourceError } from "../pull/source-error.ts";
import type { Refusal, Visit } from "./admission.ts";
import { send } from "./answers.ts";
import { InUseError } from "./in-use-error.ts";
import { bodyOf, fromJson, JSON_TYPE } from "./json-body.ts";
import type { Pull } from "./pulls.ts";
import { refusalLine } from "./refusal-line.ts";
import { NoTakeOverError } from "./take-over.ts";

/** Milliseconds that a disk has to be there. What it replaces may have to end in order first, and hooks have to run. */
const PULL_TIME = 120_000;

const pullRequest = v.strictObject({ url: v.string(), takeOver: v.optional(v.boolean(), false) });

const NOT_UNDERSTOOD: Refusal = {
  status: 400,
  words: 'the body is not {"url": "https://…"}, perhaps with "takeOver"',
};
const UNKNOWN: Refusal = { status: 404, words: "there is no such configuration" };

export interface PullDoorOptions {
  /** Of the configuration; undefined: the default one. */
  name: string | undefined;
  /** See `Pulls`. */
  pull(pull: Pull): Promise<string | undefined>;
  /** Where the disk of a configuration is, for people. */
  whereOf(name: string): string | undefined;
  /** Has an answer last. */
  lasts(response: ServerResponse): void;
  log(line: string): void;
}

/**
 * Answers POST /pull/NAME, when the disk is there or cannot be, in JSON: 202 with where to look; 403: `sources` do not allow it;
 * 404: there is no such configuration; 409: it is in use; 502: the file cannot be read, and why. Who goes before that calls it off.
 */
export async function answerPull(
  request: IncomingMessage,
  response: ServerResponse,
  visit: Visit,
  { name, pull, whereOf, lasts, log }: PullDoorOptions,
): Promise<void> {
  const bytes = await bodyOf(request);
  if (!bytes) return; // nobody waits for an answer any more
  const answer = (status: number, body: object, headers = {}) =>
    send(response, status, JSON.stringify(body), { ...headers, ...JSON_TYPE });
  const refuse = (refusal: Refusal) => {
    log(refusalLine(visit, refusal));
    answer(refusal.status, { error: refusal.words });
  };
  const parsed = v.safeParse(pullRequest, fromJson(bytes));
  if (!parsed.success) return refuse(NOT_UNDERSTOOD);
  const { url, takeOver: takesOver } = parsed.output;
  lasts(response);
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Error("who has asked for it has gone")));
  const callOff = deadline(PULL_TIME, () => request.socket.destroy());
  response.once("close", callOff);
  try {
    const found = await pull({ name, url, takesOver, address: visit.address, signal: gone.signal });
    if (found === undefined) return refuse(UNKNOWN);
    answer(202, { configuration: found, where: whereOf(found) ?? null }, { Location: "../status" });
  } catch (error) {
    if (response.closed) return;
    const told = withWordsOfPull(error);
    const refusal = { status: statusOf(told), words: oneLine(wordsForOthers(told)) };
    // What a session has failed with stands in the log already.
    if (error instanceof SourceError) refuse({ ...refusal, advice: error.message });
    else answer(refusal.status, { error: refusal.words });
  }
}

function statusOf(error: unknown): number {
  if (error instanceof SourceError) return 403;
  if (error instanceof InUseError || error instanceof NoTakeOverError) return 409;
  return error instanceof HttpError ? 502 : 500;
}
