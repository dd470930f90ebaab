/** The login of a gateway that is started in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Access, tokenAccess } from "../../src/node/index.ts";
import { readToken } from "../../src/node/login/token-file.ts";

export interface LoginHere {
  /** For `gateway()`. */
  options: { access?: Access };
  token?: string;
  /** What lets a request in; nothing where no login is asked for. */
  headers: Readonly<Record<string, string>>;
  /** Ends what there is, once the gateway is closed. */
  end(): void;
}

/** The headers that let a request in with a token. */
export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** Headers as the lines of a request. */
export const linesOf = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`);

/** Makes a token, in a folder of its own. */
export function loginHere(
  { hasLogin }: { hasLogin: boolean },
  log: (line: string) => void = () => {},
): LoginHere {
  if (!hasLogin) return { options: {}, headers: {}, end() {} };
  const folder = mkdtempSync(join(tmpdir(), "nbd-proxy-login-"));
  const tokenFile = join(folder, "token");
  const access = tokenAccess({ tokenFile, log });
  const token = readToken(tokenFile);
  return {
    options: { access },
    token,
    headers: bearer(token),
    end() {
      access.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
