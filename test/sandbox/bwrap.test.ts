import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { sandboxContract } from '../contracts/sandbox.ts';
import { bwrapHere, machine, realClock } from '../fakes/sandbox-home.ts';

const { features, skip } = await bwrapHere();

sandboxContract({
  kind: 'bwrap',
  skip,
  features,
  open: (dir, boundary) => openBwrap({ dir, boundary, clock: realClock, features: features!, machine }),
});
