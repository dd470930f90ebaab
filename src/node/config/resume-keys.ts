import * as v from "valibot";
import { time, yesOrNo } from "./values.ts";

/** How a session of the gateway goes on when its link is lost. */
export interface ResumeSettings {
  /** Seconds for which the disk waits for a new link; 0: it ends with its link. */
  readonly resume: number;
  /** Whether it also waits for servers of others, which cannot show who they are. Read-only exports only. */
  readonly resumeForeign: boolean;
}

/** A day. */
const LONGEST_WAIT = 86_400;

/** Their keys, at the top of the file or in a configuration. */
export const resumeKeys = {
  resume: v.optional(time(0, LONGEST_WAIT)),
  "resume-foreign": v.optional(yesOrNo),
};

type ResumeKeys = v.InferOutput<ReturnType<typeof v.object<typeof resumeKeys>>>;

/** The settings that keys give, with the defaults of those that are absent. */
export function resumeSettingsOf(keys: ResumeKeys): ResumeSettings {
  return { resume: keys.resume ?? 300, resumeForeign: keys["resume-foreign"] ?? false };
}
