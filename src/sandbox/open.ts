import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Sandbox } from '../core/ports/sandbox.ts';
import { openBwrap, type Machine } from './bwrap.ts';
import { openUnconfined } from './none.ts';
import { probeSandbox } from './probe.ts';

export interface SandboxOptions {
  home: string;
  /** The runtime's PATH. */
  path: string;
  /** `process.platform`. */
  platform: string;
  machine: Machine;
  boundary: Boundary;
  clock: Clock;
}

/** The strictest sandbox that works on this machine. */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { home, path, platform, machine, boundary, clock } = options;
  const dir = join(home, 'shells');
  const probe = await probeSandbox({ dir, path, platform, machine });
  if (!probe.ok) return openUnconfined({ dir, boundary, clock });
  return openBwrap({ features: probe.features, machine, dir, boundary, clock });
}
