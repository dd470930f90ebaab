import { Ajv2020 } from "ajv/dist/2020.js";
import * as assert from "uvu/assert";
import schema from "../../../bin/status.schema.json";

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, strictTypes: false });
ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)) && text.endsWith("Z"));
/** The schema without room for members that it does not name: a gateway may have more in time, but none that is not described. */
const whole: typeof schema = JSON.parse(JSON.stringify(schema), (_, value) =>
  value?.type === "object" && value.properties ? { ...value, additionalProperties: false } : value,
);
const ofDocument = ajv.compile(whole);
const ofConfiguration = ajv.compile({ ...whole.$defs.configuration, $defs: whole.$defs });

/** Fails unless it is what `GET /status` may answer. */
export function checkStatus(document: unknown): void {
  assert.ok(ofDocument(document), `${ajv.errorsText(ofDocument.errors)}: ${JSON.stringify(document)}`);
}

/** Fails unless it is what the event `configuration` may carry. */
export function checkConfiguration(status: unknown): void {
  assert.ok(ofConfiguration(status), `${ajv.errorsText(ofConfiguration.errors)}: ${JSON.stringify(status)}`);
}
