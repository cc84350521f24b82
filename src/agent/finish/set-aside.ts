import type { RunLog } from '../run/log.ts';

/**
 * The agent is paused: the run stops where it is and goes back to its place in the queue, from which nobody claims it
 * until the agent is resumed. Then it goes on with its next step.
 */
export async function setAside(log: RunLog): Promise<void> {
  const { task } = log.state;
  log.emit({ type: 'run.parked', data: { waits: [] } });
  log.queue({ op: 'park', task });
  log.queue({ op: 'wake', task });
  await log.flush(true);
}
