import { z } from 'zod';
import { hostProblem, METHODS, parseReach, pathProblem, type Reach } from '../core/net/reach.ts';
import { didYouMean } from '../core/text/unknown.ts';

/** Says in words of its own what is wrong with a text; the JSON Schema of it is that of any text. */
const checked = (problem: (given: string) => string | null) =>
  z
    .string()
    .min(1)
    .max(1024)
    .superRefine((given, context) => {
      const message = problem(given);
      if (message !== null) context.addIssue({ code: 'custom', message });
    });

const methodProblem = (given: string): string | null =>
  (METHODS as readonly string[]).includes(given.toUpperCase())
    ? null
    : `must be a method such as GET or POST, not "${given}".${didYouMean(given.toUpperCase(), METHODS)}`;

const entry = z.strictObject({
  host: checked((host) => hostProblem({ host })).describe('A host, or `*.host` for all below it.'),
  ports: z.array(z.number().int().min(1).max(65_535)).min(1).max(100).describe('Any unless given.').optional(),
  methods: z.array(checked(methodProblem)).min(1).max(20).describe('HTTP methods; any unless given.').optional(),
  paths: z
    .array(checked(pathProblem))
    .min(1)
    .max(200)
    .describe('Beginnings of paths by whole segments: /repos/ is all below it; any unless given.')
    .optional(),
  ask: z.boolean().describe('true: a person is asked each time.').optional(),
});

/** A `network:` list, of `ruche.yaml` and of an agent alike. */
export const networkSchema = z
  .array(
    z.union([checked(hostProblem), entry], {
      error: ({ code }) =>
        code === 'invalid_union' ? 'must be a host such as example.org, or a map with the key host' : undefined,
    }),
  )
  .max(1000);

export const reachesOf = (given: z.infer<typeof networkSchema>): Reach[] =>
  given.flatMap((source) => parseReach(source) ?? []);
