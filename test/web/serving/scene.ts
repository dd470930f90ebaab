/** A gateway's WebSocket, and a server that serves to it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { nbdClient } from "../../../src/nbd/client/nbd-client.ts";
import type { RemoteExport } from "../../../src/nbd/client/remote-export.ts";
import { keysInMemory } from "../../../src/resuming/resume-keys.ts";
import { webSocket } from "../../../src/transport/websocket.ts";
import type { ServingReport } from "../../../web/serving/report.ts";
import type { ServingOptions } from "../../../web/serving/serving.ts";
import { sequence } from "../../bytes.ts";
import { until } from "../../harness.ts";

// What a browser has, and Node 20 has not.
Object.assign(globalThis, { WebSocket, File: globalThis.File ?? class extends Blob {} });

export const SIZE = 1 << 16;

export interface Scene {
  options: ServingOptions;
  /** The subprotocols that each WebSocket has asked for. */
  asked: string[][];
  /** The far side of the WebSockets, in the order in which they came. */
  sockets: WebSocket[];
  /** What a client of the newest WebSocket is offered. */
  client(): Promise<RemoteExport>;
  /** Takes no more WebSockets. */
  hold(): void;
  end(): void;
}

export async function scene(options: Partial<ServingOptions> = {}): Promise<Scene> {
  const gateway = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: ([first]) => first! });
  await once(gateway, "listening");
  const asked: string[][] = [];
  const sockets: WebSocket[] = [];
  const clients: Promise<RemoteExport>[] = [];
  gateway.on("connection", (socket, { headers }) => {
    asked.push((headers["sec-websocket-protocol"] ?? "").split(/, ?/).filter(Boolean));
    sockets.push(socket);
    // At once: what comes in before anybody listens is lost.
    const client = nbdClient(webSocket(socket));
    client.catch(() => {});
    clients.push(client);
  });
  return {
    options: {
      endpoint: `ws://127.0.0.1:${(gateway.address() as AddressInfo).port}/`,
      file: new File([sequence(SIZE)], "disk.iso"),
      protocols: [],
      cache: 1 << 24,
      retry: 0,
      resumeKeys: keysInMemory(),
      cells: 16,
      ...options,
    },
    asked,
    sockets,
    async client() {
      await until("a WebSocket", () => clients.length > 0);
      return clients.at(-1)!;
    },
    hold: () => gateway.close(),
    end() {
      for (const socket of sockets) socket.terminate();
      gateway.close();
    },
  };
}

/** Takes reports, and tells what was in all of them. */
export class Reports {
  readonly all: ServingReport[] = [];
  readonly take = (report: ServingReport): void => void this.all.push(report);

  get last(): ServingReport {
    return this.all.at(-1)!;
  }

  get states(): string[] {
    const states = this.all.map(({ state }) => state);
    return states.filter((state, at) => state !== states[at - 1]);
  }

  get lines(): string[] {
    return this.all.flatMap(({ lines }) => lines.map(({ text }) => text));
  }

  until(state: ServingReport["state"]): Promise<void> {
    return until(`the state ${state}`, () => this.all.some((report) => report.state === state));
  }
}
