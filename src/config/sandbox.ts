import { z } from 'zod';
import type { Problem, SandboxChoice } from '../core/agent.ts';
import { problem, type YamlSource } from './yaml-source.ts';

const HOW =
  'must be name@sha256:… with 64 digits: a name alone may mean another image tomorrow. After `podman pull NAME`, `podman image inspect --format "{{.Digest}}" NAME` prints the digest (docker: `docker image inspect --format "{{index .RepoDigests 0}}" NAME`)';

const image = z
  .string()
  .max(500)
  .regex(/^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*(:[\w.-]{1,128})?@sha256:[0-9a-f]{64}$/, { error: HOW })
  .describe('The image of a container, as name@sha256:…');

/** The keys of `ruche.yaml` and of an AGENT.md that pick what confines commands. */
export const sandboxKeys = {
  sandbox: z
    .union([
      z.enum(['bwrap', 'container', 'none'], { error: 'must be bwrap, container, none or { image: name@sha256:… }' }),
      z.strictObject({ kind: z.literal('container').optional(), image }),
    ])
    .describe('What confines shell commands: bwrap (the default), container (with image) or none (each is asked for).')
    .optional(),
  image: image.describe('With `sandbox: container`: its image, as name@sha256:…').optional(),
};

interface Given {
  sandbox?: SandboxChoice['kind'] | { image: string } | undefined;
  image?: string | undefined;
}

/** How much of the machine a command sees: less with each. */
const STRICTNESS = { none: 0, bwrap: 1, container: 2 } as const;

/** What is picked; undefined if nothing is. `all`: what `ruche.yaml` has picked for everybody, which an agent may only narrow. */
export function sandboxOf(
  { sandbox, image: beside }: Given,
  source: YamlSource,
  file: string,
  all?: SandboxChoice,
): { choice: SandboxChoice | undefined; problems: Problem[] } {
  const wrong = (key: string, said: string) => ({
    choice: undefined,
    problems: [problem(file, source.lineOf([key]), key, said)],
  });
  if (beside !== undefined && sandbox !== 'container')
    return wrong('image', 'counts only beside `sandbox: container`: write that, or remove the image');
  if (sandbox === undefined) return { choice: all, problems: [] };
  const named = typeof sandbox === 'object' ? sandbox.image : beside;
  const kind = typeof sandbox === 'object' ? 'container' : sandbox;
  if (kind === 'container' && named === undefined)
    return wrong('sandbox', 'needs to know its image: write `image: name@sha256:…` below it');
  const choice: SandboxChoice = kind === 'container' ? { kind, image: named ?? '' } : { kind };
  if (all !== undefined && STRICTNESS[kind] < STRICTNESS[all.kind])
    return wrong(
      'sandbox',
      `is not possible here: ruche.yaml has picked ${all.kind} for all, and an agent may only narrow that`,
    );
  if (all?.kind === 'container' && choice.kind === 'container' && choice.image !== all.image)
    return wrong('sandbox', `is not possible here: ruche.yaml has picked the image ${all.image} for all`);
  return { choice, problems: [] };
}
