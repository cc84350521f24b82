import assert from 'node:assert/strict';
import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { isolationContract } from '../contracts/isolation.ts';
import { bwrapHere, machine, realClock } from '../fakes/sandbox-home.ts';

const { features, skip } = await bwrapHere();

isolationContract({
  who: 'bubblewrap',
  skip,
  weak: features?.cgroups.memory === null ? 'no cgroup can be made here' : false,
  files: /^anon_inode:\[eventfd\]$/,
  open(dir) {
    assert.ok(features);
    return openBwrap({ dir, boundary: () => undefined, clock: realClock, features, machine });
  },
});
