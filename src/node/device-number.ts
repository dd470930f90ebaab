/** A device by its numbers as the kernel writes them, "MAJOR:MINOR", from those that stat(2) gives in one. */
export function deviceNumber(dev: number | bigint): string {
  const bits = BigInt(dev);
  // gnu_dev_major(3), gnu_dev_minor(3)
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
