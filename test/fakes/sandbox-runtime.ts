/**
 * A runtime in a process of its own, to be killed. Its order comes as JSON in its argument. Runs the job as a resumed run
 * would, prints its output and exit code, and dies at the named boundary.
 */
import { openBwrap, type BwrapFeatures } from '../../src/sandbox/bwrap.ts';
import { openContainers } from '../../src/sandbox/container/container.ts';
import { openUnconfined } from '../../src/sandbox/none.ts';
import type { BoundaryName } from '../../src/core/ports/boundary.ts';
import type { Job } from '../../src/core/ports/sandbox.ts';
import { engineOptions } from './container-image.ts';
import { machine, realClock } from './sandbox-home.ts';

export interface RuntimeOrder {
  kind: 'bwrap' | 'container' | 'none';
  shells: string;
  features: BwrapFeatures | null;
  job: Job;
  killAt: BoundaryName | null;
  /** Set in this process's environment before anything else. */
  env?: Record<string, string>;
}

const order = JSON.parse(process.argv[2] ?? '') as RuntimeOrder;
Object.assign(process.env, order.env);
const boundary = (name: BoundaryName): void => {
  if (name === order.killAt) process.kill(process.pid, 'SIGKILL');
};
const options = { dir: order.shells, boundary, clock: realClock };
const sandbox =
  order.kind === 'container'
    ? await openContainers({ ...options, ...engineOptions })
    : order.kind === 'bwrap' && order.features
      ? await openBwrap({ ...options, features: order.features, machine })
      : await openUnconfined(options);
const signal = new AbortController().signal;
const state = await sandbox.find(order.job.key);
const show = (chunk: Uint8Array): void => void process.stdout.write(chunk);
const result =
  state === 'absent'
    ? await sandbox.exec(order.job, show, signal)
    : await sandbox.adopt(order.job.key, order.job.limits, show, signal);
process.stdout.write(`\n[${state} ${result.exit} ${Buffer.from(result.output).toString('base64')}]\n`);
