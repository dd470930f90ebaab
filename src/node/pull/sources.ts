import { isIP } from "node:net";
import * as v from "valibot";
import { shownUrl } from "../../transport/shown-url.ts";
import { yesOrNo } from "../config/values.ts";
import { isHostAddress, network } from "./public-address.ts";
import { urlFault } from "./url-fault.ts";

/** What the gateway may fetch by itself. Plain values, so that configurations can be compared. */
export interface Source {
  /** An http(s) URL: what is under it if it ends with "/", else it alone. */
  readonly url: string;
  /** Whether URLs under it may have a query. */
  readonly queries: boolean;
  /** Networks that its host may be in although they are not public, as `network` gives them. */
  readonly addresses: readonly string[];
}

export interface SourceSettings {
  /** What may be fetched for a configuration; nothing where it is empty. */
  readonly sources: readonly Source[];
}

const PREFIX_RULE =
  'must be an http:// or https:// URL that ends with "/", or of one file, such as "https://mirror.example/iso/"';
const ADDRESS_RULE = 'must be a list of IP addresses or networks, such as "10.0.0.5" or "10.0.0.0/8"';
const OBJECT_RULE = 'must be a URL, or an object with "url" and perhaps "queries" and "addresses"';

const prefix = v.pipe(
  v.string(PREFIX_RULE),
  v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
    const fault = prefixFault(value);
    if (fault === undefined) return new URL(value).href;
    // Shown in a message, which is no place for a password.
    addIssue({ message: `${PREFIX_RULE}; ${fault}`, input: shownUrl(value) });
    return NEVER;
  }),
);

const address = v.pipe(
  v.string(ADDRESS_RULE),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const one = network(dataset.value);
    if (one !== undefined) return one;
    addIssue({ message: ADDRESS_RULE });
    return NEVER;
  }),
);

const described = v.pipe(
  v.strictObject(
    {
      url: prefix,
      queries: v.optional(yesOrNo, false),
      addresses: v.optional(v.array(address, ADDRESS_RULE), []),
    },
    OBJECT_RULE,
  ),
  v.check(
    ({ url, addresses }) => addresses.length === 0 || literalAddress(url) === undefined,
    '"addresses" are for a host name: an IP address in "url" names itself',
  ),
);

const alone = v.pipe(
  prefix,
  v.transform((url): Source => ({ url, queries: false, addresses: [] })),
);

const source = v.lazy(
  (input): v.GenericSchema<unknown, Source> => (typeof input === "string" ? alone : described),
);

/** Their key, at the top of the file or in a configuration. */
export const sourceKeys = {
  sources: v.optional(v.array(source, `must be a list; each ${PREFIX_RULE.replace("must", "of it must")}`)),
};

type SourceKeys = v.InferOutput<ReturnType<typeof v.object<typeof sourceKeys>>>;

/** What the key gives; nothing may be fetched where it is absent. */
export function sourceSettingsOf({ sources = [] }: SourceKeys): SourceSettings {
  return { sources };
}

function prefixFault(text: string): string | undefined {
  const fault = urlFault(text);
  if (fault) return fault;
  if (text.includes("?")) return "it has a query";
  if (/^[^/]*\/\/[^/]*$/.test(text)) return 'its path is missing, at least a "/"';
  const host = literalAddress(text);
  return host !== undefined && !isHostAddress(host) ? `${host} is no address of a host` : undefined;
}

/** The host of a URL, if it is an IP address. */
function literalAddress(url: string): string | undefined {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) ? host : undefined;
}
