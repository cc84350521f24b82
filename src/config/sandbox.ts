import { z } from 'zod';
import type { Problem, SandboxChoice } from '../core/agent.ts';
import type { SandboxName } from '../core/ports/sandbox.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { listed } from './validate.ts';
import { problem, type YamlSource } from './yaml-source.ts';

const HOW =
  'must be name@sha256:… with 64 digits: a name alone may mean another image tomorrow. After `podman pull NAME`, `podman image inspect --format "{{.Digest}}" NAME` prints the digest (docker: `docker image inspect --format "{{index .RepoDigests 0}}" NAME`)';

const image = z
  .string()
  .max(500)
  .regex(/^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*(:[\w.-]{1,128})?@sha256:[0-9a-f]{64}$/, { error: HOW })
  .describe('The image whose programs commands see, as name@sha256:…');

const name = z.string().min(1).max(64);

/** The keys of `ruche.yaml` and of an AGENT.md that pick what confines commands. */
export const sandboxKeys = {
  sandbox: z
    .union([name, z.strictObject({ kind: name.optional(), image })])
    .describe(
      'What confines shell commands, by name, or { image: name@sha256:… }; the strictest of this machine unless given.',
    )
    .optional(),
  image: image.optional(),
};

interface Given {
  sandbox?: string | { kind?: string | undefined; image: string } | undefined;
  image?: string | undefined;
}

/**
 * What is picked; undefined if nothing is. `kinds`: what there is, the strictest first. `all`: what `ruche.yaml` has picked for
 * everybody, which an agent may only narrow.
 */
export function sandboxOf(
  { sandbox, image: beside }: Given,
  kinds: readonly SandboxName[],
  source: YamlSource,
  file: string,
  all?: SandboxChoice,
): { choice: SandboxChoice | undefined; problems: Problem[] } {
  const wrong = (key: string, said: string) => ({
    choice: undefined,
    problems: [problem(file, source.lineOf([key]), key, said)],
  });
  const ofImage = kinds.find((kind) => kind.image)?.name ?? '';
  if (sandbox === undefined)
    return beside === undefined
      ? { choice: all, problems: [] }
      : wrong('image', `counts only beside \`sandbox: ${ofImage}\`: write that, or remove the image`);
  const named = typeof sandbox === 'string' ? sandbox : (sandbox.kind ?? ofImage);
  const at = kinds.findIndex((kind) => kind.name === named);
  const kind = kinds[at];
  const known = kinds.map((each) => each.name);
  if (kind === undefined)
    return wrong(
      'sandbox',
      `there is no sandbox "${named}". Known: ${listed(known)}.${didYouMean(/^(?:podman|docker)$/.test(named) ? ofImage : named, known)}`,
    );
  const given = typeof sandbox === 'string' ? beside : sandbox.image;
  if (given !== undefined && !kind.image)
    return wrong('image', `counts only beside \`sandbox: ${ofImage}\`: write that, or remove the image`);
  if (given === undefined && kind.image)
    return wrong('sandbox', 'needs to know its image: write `image: name@sha256:…` below it');
  const choice = { kind: named, ...(given === undefined ? {} : { image: given }) };
  const picked = 'is not possible here: ruche.yaml has picked';
  if (all !== undefined && at > known.indexOf(all.kind))
    return wrong('sandbox', `${picked} ${all.kind} for all, and an agent may only narrow that`);
  if (all?.kind === named && all.image !== given) return wrong('sandbox', `${picked} the image ${all.image} for all`);
  return { choice, problems: [] };
}
