import { tmpdir } from 'node:os';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { probeSandbox } from '../../src/sandbox/probe.ts';
import { sandboxContract } from '../contracts/sandbox.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { machine, realClock } from '../fakes/sandbox-home.ts';

const scratch = await mkdtemp(join(tmpdir(), 'ruche-probe-'));
const probe = await probeSandbox({
  dir: scratch,
  path: process.env['PATH'] ?? '',
  platform: process.platform,
  machine,
});
await rm(scratch, { recursive: true });
const features = probe.ok ? probe.features : null;

sandboxContract({
  kind: 'bwrap',
  skip: requirePeer(`bubblewrap (${probe.why})`, probe.ok),
  features,
  open: (dir, boundary) => openBwrap({ dir, boundary, clock: realClock, features: features!, machine }),
});
