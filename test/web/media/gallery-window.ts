import type { Gallery } from "./gallery.ts";

declare global {
  interface Window {
    gallery: Gallery;
  }
}
