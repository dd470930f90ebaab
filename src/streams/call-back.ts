/** Calls back; what that throws is reported as what an event listener throws is, and disturbs nothing here. */
export function callBack(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
