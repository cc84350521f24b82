/** Milliseconds this thread has worked at something: on a busy machine the time on the wall is that of the others too. */
export function workMs(run: () => unknown): number {
  const before = process.threadCpuUsage();
  run();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}
