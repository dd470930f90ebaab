import { Ajv2020 } from "ajv/dist/2020.js";
import * as assert from "uvu/assert";
import schema from "../../../bin/status.schema.json";

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, strictTypes: false });
ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)) && text.endsWith("Z"));
const ofDocument = ajv.compile(schema);
const ofConfiguration = ajv.compile({ ...schema.$defs.configuration, $defs: schema.$defs });

/** Fails unless it is what `GET /status` may answer. */
export function checkStatus(document: unknown): void {
  assert.ok(ofDocument(document), `${ajv.errorsText(ofDocument.errors)}: ${JSON.stringify(document)}`);
}

/** Fails unless it is what the event `configuration` may carry. */
export function checkConfiguration(status: unknown): void {
  assert.ok(ofConfiguration(status), `${ajv.errorsText(ofConfiguration.errors)}: ${JSON.stringify(status)}`);
}
