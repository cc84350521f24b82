import { openUnconfined } from '../../src/sandbox/none.ts';
import { sandboxContract } from '../contracts/sandbox.ts';
import { realClock } from '../fakes/sandbox-home.ts';

sandboxContract({
  kind: 'none',
  skip: process.platform === 'linux' ? false : 'its wrapper needs the programs of Linux',
  features: null,
  open: (dir, boundary) => openUnconfined({ dir, boundary, clock: realClock }),
});
