/** The entry "nbd-proxy/polyfill": streams for a runtime that lacks a part of them (see runtime.ts). Harmless in any other. */
import { ReadableStream, WritableStream } from "web-streams-polyfill";
import { provideStreams } from "./runtime.ts";

provideStreams({ ReadableStream, WritableStream } as unknown as typeof globalThis);
