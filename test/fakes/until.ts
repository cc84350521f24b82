/** Waits for something another process brings about; there is no event to wait for. Rejects after `ms`. */
export async function until<T>(
  look: () => Promise<T> | T,
  what: string = String(look),
  ms = 30_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`within ${ms} ms this did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
