/**
 * Waits for something another process brings about; there is no event to wait for. Rejects after `ms`. It rests twice as
 * long as a look takes: some looks are commands, and what is waited for needs the processor, too.
 */
export async function until<T>(
  look: () => Promise<T> | T,
  what: string = String(look),
  ms = 30_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + ms;
  for (;;) {
    const began = performance.now();
    const found = await look();
    if (found) return found;
    const now = performance.now();
    if (now > deadline) throw new Error(`within ${ms} ms this did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(10, 2 * (now - began))));
  }
}
