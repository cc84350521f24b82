import { z } from 'zod';
import type { SecretBinding } from '../core/agent.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import { carriesCredential } from '../core/net/headers.ts';
import { parseHostPattern } from '../core/net/host.ts';
import { METHODS } from '../core/net/reach.ts';

/** Placeholders and variables of the sandbox carry this name, so two names never fall together in upper case. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** A path that every server reads in the same way: no escapes, no empty or dotted segments, no parameters. */
const PATH = /^\/(?:[\w.~!$&'()*+,=:@-]+\/?)*$/;

const isPlainPath = (path: string): boolean =>
  PATH.test(path) && path.split('/').every((segment) => segment !== '.' && segment !== '..');

/** A host in the form that requests have it; null for a pattern, a port or no host. */
function exactHost(raw: string): string | null {
  const pattern = parseHostPattern(raw);
  return pattern !== null && pattern.literal && pattern.port === null ? pattern.host : null;
}

/** One entry of `secrets` in `ruche.yaml`. */
const entry = z.strictObject({
  for: z.array(z.string().min(1).max(64)).min(1).max(100).describe('The agents whose requests carry it.'),
  host: z
    .string()
    .refine((host) => exactHost(host) !== null, {
      error: 'must be one exact host such as api.example.com: no pattern, no port (see ports), no URL',
    })
    .describe('The one host that receives it.'),
  ports: z
    .array(z.number().int().min(1).max(65_535))
    .min(1)
    .max(20)
    .describe('Ports that receive it; 443 unless given.')
    .optional(),
  methods: z
    .array(z.enum(METHODS))
    .min(1)
    .describe('Methods of requests that carry it; every one unless given.')
    .optional(),
  path: z
    .string()
    .max(500)
    .refine(isPlainPath, {
      error: 'must be a path such as /repos/our/, without "..", "//", "%", ";", "?" and "#"',
    })
    .describe('Where the path of a request has to begin, in whole segments; every path unless given.')
    .optional(),
  header: z
    .string()
    .max(100)
    .refine((name) => /^[A-Za-z0-9][A-Za-z0-9-]*$/.test(name) && carriesCredential(name.toLowerCase()), {
      error: 'must be a header that carries a credential, such as Authorization or X-Api-Key',
    })
    .describe('The header that carries it, such as Authorization.'),
  format: z
    .string()
    .max(500)
    .refine((format) => /^[\x20-\x7e]*$/.test(format) && format.split('{}').length === 2, {
      error: "must be one line of plain characters with {} once, where the value goes, such as 'Bearer {}'",
    })
    .describe("What the header says; the value takes the place of {}, as in 'Bearer {}'."),
  value: z
    .string()
    .regex(SECRET_REFERENCE, {
      error:
        'must name where the value is, such as secret:github or env:GITHUB_TOKEN; the value never stands in a file',
    })
    .describe('Where the value is kept; secret:NAME with the name of this entry unless given.')
    .optional(),
});

/** `secrets` in `ruche.yaml`. */
export const secretsSchema = z
  .record(
    z.string().regex(NAME, {
      error: 'a secret is named with small letters, digits and "-", beginning with a letter, at most 32 long',
    }),
    entry,
  )
  .describe('Credentials by destination: which agents send which secret to which host. No agent sees its value.');

export const bindingsOf = (given: z.infer<typeof secretsSchema>): SecretBinding[] =>
  Object.entries(given).map(([name, { for: agents, host, ports, methods, path, header, format, value }]) => ({
    name,
    for: [...new Set(agents)],
    host: exactHost(host) ?? host,
    ports: ports ?? [443],
    methods: methods ?? null,
    path: path ?? null,
    header: header.toLowerCase(),
    format,
    value: value ?? `secret:${name}`,
  }));
