import * as v from "valibot";
import { LONGEST_TIME, time, yesOrNo } from "./values.ts";

/** What those who serve to a configuration may do. */
export interface ConfigurationPermissions {
  /** Whether the export is never written to, whatever its server allows. */
  readonly readOnly: boolean;
  /** Whether the gateway lets a newcomer end the session that has the configuration, and take its place. */
  readonly takeOver: boolean;
  /** Seconds between two takeovers, at least. */
  readonly takeOverInterval: number;
}

/** Their keys, at the top of the file or in a configuration. */
export const permissionKeys = {
  "read-only": v.optional(yesOrNo),
  "take-over": v.optional(yesOrNo),
  "take-over-interval": v.optional(time(0, LONGEST_TIME)),
};

type PermissionKeys = v.InferOutput<ReturnType<typeof v.object<typeof permissionKeys>>>;

/** The permissions that keys give, with the defaults of those that are absent. */
export function permissionsOf(keys: PermissionKeys): ConfigurationPermissions {
  return {
    readOnly: keys["read-only"] ?? false,
    takeOver: keys["take-over"] ?? true,
    takeOverInterval: keys["take-over-interval"] ?? 10,
  };
}
