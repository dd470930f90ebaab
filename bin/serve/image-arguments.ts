import { shownUrl } from "../../src/transport/shown-url.ts";

/** Whether an argument names a file on a web server. A file of this machine with such a name is "./http://…". */
export const isUrl = (image: string) => /^https?:\/\//i.test(image);

/** An image as it may be told: a URL has secrets, a path has none. */
export const shownImage = (image: string) => (isUrl(image) ? shownUrl(image) : image);

/** The options for an image at a URL. */
export const imageOptions = {
  header: { type: "string", multiple: true },
  user: { type: "string" },
  "password-file": { type: "string" },
  "image-ca": { type: "string" },
} as const;

export interface ImageValues {
  header?: string[] | undefined;
  user?: string | undefined;
  "password-file"?: string | undefined;
  "image-ca"?: string | undefined;
}

/** @throws Error when there are options for a URL, and the image is at none */
export function refuseImageOptions(values: ImageValues): void {
  for (const name of Object.keys(imageOptions) as (keyof ImageValues)[]) {
    if (values[name] !== undefined) throw new Error(`--${name} is for an IMAGE-URL`);
  }
}
