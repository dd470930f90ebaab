/** Whether a page may notify: by now, or after it has asked. */
export type Consent = "impossible" | "not asked" | "granted" | "denied";

/** What this browser allows. It asks nobody. */
export function consent(): Consent {
  if (!isSecureContext || typeof Notification === "undefined") return "impossible";
  const { permission } = Notification;
  return permission === "default" ? "not asked" : permission;
}

/** Has the browser ask the person, which takes a click. */
export async function askConsent(): Promise<Consent> {
  await Notification.requestPermission().catch(() => {});
  return consent();
}

/**
 * Notifies a person who looks elsewhere that serving has stopped. One notification for each place: a new one takes the place of
 * the old one.
 */
export function notify(title: string, body: string, place: string): void {
  if (consent() !== "granted" || (document.visibilityState === "visible" && document.hasFocus())) return;
  try {
    const notification = new Notification(title, { body, tag: `nbd-proxy ${place}`, icon: "icons/bad.svg" });
    notification.onclick = () => {
      window.focus();
      notification.close();
    };
  } catch {
    // On phones only a service worker may.
  }
}
