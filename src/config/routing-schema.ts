import { z } from 'zod';
import type { Problem } from '../core/agent.ts';
import { PURPOSES } from '../core/model.ts';
import type { Routing } from '../core/routing.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { problem, type Path, type YamlSource } from './yaml-source.ts';

const use = z.string().regex(/^(light|standard|strong|[A-Za-z][A-Za-z0-9_-]*\/\S+)$/, {
  error: 'must be light, standard, strong or provider/model',
});

const steps = {
  compact: use.describe('Summaries of conversations that grow long; light unless given.').optional(),
  title: use.describe('Titles; light unless given.').optional(),
  extract: use.describe('Values taken out of a text by a schema; light unless given.').optional(),
  classify: use.describe('Sorting by given kinds; light unless given.').optional(),
};

const rule = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
        error: 'must be a name of letters, digits, "-" and "_", at most 64 long',
      })
      .describe('Name of the rule; each step that it settles is recorded with it.'),
    steps: z.array(z.enum(PURPOSES)).min(1).describe('Kinds of steps; turn is the thinking itself.').optional(),
    agent: z.string().min(1).max(64).describe('Name of the agent.').optional(),
    from: z.string().min(1).max(64).describe('What the task came from: person, agent, schedule, trigger …').optional(),
    labels: z
      .array(z.enum(['untrusted', 'private']))
      .min(1)
      .describe('Labels that the run has, all of them.')
      .optional(),
    use: use.describe('A tier or provider/model.'),
  })
  .refine(({ steps, agent, from, labels }) => [steps, agent, from, labels].some((each) => each !== undefined), {
    error: 'says nothing to match: name steps, agent, from or labels',
  });

/** `models.routing` of `ruche.yaml`. */
export const routingSchema = z
  .strictObject({
    ...steps,
    rules: z.array(rule).max(200).describe('The first that fits counts, before everything else.').optional(),
  })
  .describe('Which tier does which kind of step.');

/** `routing` of an AGENT.md. */
export const agentRoutingSchema = z
  .strictObject(steps)
  .describe('Which tier or model does which kind of step for this agent; its own thinking is done by model.');

export function routingOf(given: z.infer<typeof routingSchema>): Routing {
  const { rules = [], ...named } = given;
  return { steps: named, rules };
}

/** Models of providers that there are not, and rules of one name. `at`: where in the file it stands. */
export function routingProblems(
  { rules = [], ...named }: z.infer<typeof routingSchema>,
  at: Path,
  known: ReadonlySet<string>,
  { source, file }: { source: YamlSource; file: string },
): Problem[] {
  const found: Problem[] = [];
  const add = (path: Path, said: string): void => {
    found.push(problem(file, source.lineOf(path), path.join('.'), said));
  };
  const check = (path: Path, ref: string | undefined): void => {
    const provider = ref?.includes('/') === true ? ref.slice(0, ref.indexOf('/')) : null;
    if (provider !== null && !known.has(provider))
      add(path, `names the provider "${provider}", which ruche.yaml does not have.${didYouMean(provider, known)}`);
  };
  for (const [step, ref] of Object.entries(named)) check([...at, step], ref);
  const seen = new Set<string>();
  for (const [index, { id, use: ref }] of rules.entries()) {
    check([...at, 'rules', index, 'use'], ref);
    if (seen.has(id)) add([...at, 'rules', index, 'id'], `"${id}" names an earlier rule already`);
    seen.add(id);
  }
  return found;
}
