import { openContainers } from '../../src/sandbox/container/container.ts';
import { sandboxContract } from '../contracts/sandbox.ts';
import { engineOptions, imageHere } from '../fakes/container-image.ts';
import { realClock } from '../fakes/sandbox-home.ts';

const { image, skip } = await imageHere();

sandboxContract({
  kind: 'container',
  skip,
  features: null,
  startMs: 3000,
  sandbox: { kind: 'container', image },
  open: (dir, boundary) => openContainers({ ...engineOptions, dir, boundary, clock: realClock }),
});
