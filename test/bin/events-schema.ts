import { Ajv2020 } from "ajv/dist/2020.js";
import * as assert from "uvu/assert";
import schema from "../../bin/serve-events.schema.json";

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, strictTypes: false });
ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)) && text.endsWith("Z"));
/** Whether something is what the schema says. */
export const isEvent = ajv.compile(schema);

/** An event of nbd-serve --json. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** The events that these lines are. Fails unless each is as the schema says. */
export function eventsOf(lines: string): Event[] {
  assert.ok(lines === "" || lines.endsWith("\n"), `whole lines: ${lines.slice(-100)}`);
  return lines
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const event = JSON.parse(line) as Event;
      assert.ok(isEvent(event), `${ajv.errorsText(isEvent.errors)}: ${line}`);
      return event;
    });
}
