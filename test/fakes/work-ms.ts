/** Gives the milliseconds that this thread has worked since: the time on the wall is also that of whatever else runs. */
export function workClock(): () => number {
  const before = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
}

/** Milliseconds that this thread works at something. */
export function workMs(run: () => unknown): number {
  const worked = workClock();
  run();
  return worked();
}
