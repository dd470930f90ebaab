type Koffi = typeof import("koffi").default;

/**
 * The library through which system calls are made that Node lacks, loaded when one is needed: where it has no build for
 * this platform, only what needs it is absent.
 * @throws Error when it is absent
 */
export async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default;
  } catch (cause) {
    throw new Error(
      `the package koffi, for system calls, does not load on ${process.platform} ${process.arch}; see npm install`,
      { cause },
    );
  }
}
