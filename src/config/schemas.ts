import { readDuration } from '../core/text/duration.ts';
import { z } from 'zod';
import type { ProviderKind } from '../core/agent.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import { openWall } from '../core/time/wall.ts';
import { bareOrigin } from '../core/net/host.ts';
import { casesSchema } from './policy-cases.ts';
import { networkSchema } from './network-schema.ts';
import { budgetSchema, networkBudgetSchema } from './budget-schema.ts';
import { channelName, channelSchema, type Messenger } from './channels.ts';
import { accountName, accountSchema, type AccountType } from './accounts.ts';
import { CHAIN_NAME, chainSchema } from './escalation-schema.ts';
import { agentRoutingSchema, routingSchema } from './routing-schema.ts';
import { quietSchema } from './quiet.ts';
import { secretsSchema } from './secret-bindings.ts';
import { recipient, scheduleSchema } from './schedule-schema.ts';
import { sandboxKeys } from './sandbox.ts';
import { timeNeeded } from './validate.ts';
import { triggerSchema } from './trigger-schema.ts';
import { isSkillName } from '../core/skill.ts';
import { usablePathPattern } from '../core/text/glob.ts';

// The shape of `ruche.yaml` and of the front matter of an AGENT.md. Editors get JSON Schemas made of the same objects.

/** What a tier name or `provider/model` may look like. A model's own name may hold slashes and colons. */
const MODEL_REF = /^[A-Za-z][A-Za-z0-9_-]*\/\S+$/;

const text = z.string().min(1).max(2000);
const zoneName = text.refine((zone) => openWall(zone) !== null, {
  error: 'is no time zone; write one such as Europe/Paris',
});
const verdictNames = ['allow', 'ask', 'deny'] as const;

const match = z
  .strictObject({
    tool: text.describe('Name of the tool; globs allowed.').optional(),
    effect: z.enum(['read', 'write', 'send', 'exec']).describe('What kind of effect the call has.').optional(),
    path: text.describe('Path in the workspace; globs allowed, e.g. contracts/**.').optional(),
    command: text.describe('The shell command line; globs allowed.').optional(),
    host: text.describe('host or host:port that is contacted; globs allowed.').optional(),
    to: text.describe('Who is told something, as CHANNEL:ADDRESS; globs allowed.').optional(),
    labels: z
      .array(z.enum(['untrusted', 'private']))
      .min(1)
      .max(2)
      .describe('What the run has read, all of it: untrusted, private. Only for ask and deny.')
      .optional(),
    sender: text
      .describe('Who asked for the work: CHANNEL:ADDRESS, agent:NAME, schedule:AGENT/NAME; globs allowed.')
      .optional(),
    queue: text.describe('The queue of the task; globs allowed.').optional(),
    hours: text.describe('Hours by the clock of the network, such as 22:00-07:00 or Mon-Fri 08:00-18:00.').optional(),
    costOver: z
      .number()
      .min(0)
      .max(1_000_000)
      .describe('Holds once the run has cost more dollars than this. Only for ask and deny.')
      .optional(),
    args: z
      .record(z.string().min(1).max(64), text)
      .describe('Critical arguments of the tool, by name, such as { recipient: "*@example.org" }; globs allowed.')
      .optional(),
  })
  .refine((fields) => Object.keys(fields).length > 0, {
    error: 'says nothing to match; to match every call write { tool: "*" }',
  });

/** A whole number within bounds. */
const whole = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);

const ruleBase = {
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
      error: 'must be a name of letters, digits, "-" and "_", at most 64 long',
    })
    .describe('Name of the rule; decisions are recorded with it.'),
  reason: text.describe('Why the rule is there; shown to the agent and to the person who is asked.'),
};

const approvers = whole(1, 10)
  .describe('Of ask: how many different persons have to approve; 1 unless given. See people.')
  .optional();

const oneVerdict = (rule: object): boolean => verdictNames.filter((name) => name in rule).length === 1;

const asksSeveral = (rule: { ask?: unknown; approvers?: number | undefined }): boolean =>
  rule.approvers === undefined || rule.ask !== undefined;

const rule = z
  .strictObject({ ...ruleBase, allow: match.optional(), ask: match.optional(), deny: match.optional(), approvers })
  .refine(oneVerdict, { error: 'must have exactly one of allow, ask and deny' })
  .refine(asksSeveral, { error: 'has a meaning only with ask', path: ['approvers'] });

const narrowingRule = z
  .strictObject({ ...ruleBase, ask: match.optional(), deny: match.optional(), approvers })
  .refine(oneVerdict, { error: 'must have exactly one of ask and deny' })
  .refine(asksSeveral, { error: 'has a meaning only with ask', path: ['approvers'] });

const price = z
  .strictObject({
    input: z.number().min(0).max(10_000),
    output: z.number().min(0).max(10_000),
    cached: z.number().min(0).max(10_000).optional(),
  })
  .describe('US dollars for a million tokens of input, of output, and of input that the provider had cached.');
const modelFacts = {
  window: z.number().int().min(1_000).max(100_000_000).describe('Tokens that a request may have.').optional(),
  price: price.optional(),
  images: z.boolean().describe('Whether its models can see; set it where that is not known of them.').optional(),
  streamOptions: z.boolean().describe('false: it takes no stream_options.').optional(),
  systemRole: z.boolean().describe('false: it takes no system message.').optional(),
  maxTokensField: z
    .enum(['max_tokens', 'max_completion_tokens'])
    .describe('What it calls the limit of an answer.')
    .optional(),
};

const providerSchema = (kinds: readonly ProviderKind[]) =>
  z
    .strictObject({
      type: z.enum(kinds.map(({ type }) => type)).describe('How the provider is spoken to.'),
      baseUrl: z
        .string()
        .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?$/, {
          error: 'must be an http or https URL without user name, query and fragment',
        })
        .describe('Where its API is, e.g. http://127.0.0.1:8080/v1; the maker knows its own.')
        .optional(),
      apiKey: z
        .string()
        .regex(SECRET_REFERENCE, {
          error:
            'must name where the key is, e.g. env:OPENAI_API_KEY or secret:openai; the key itself never stands in a file',
        })
        .describe('A reference such as env:LOCAL_KEY or secret:local, never the key itself.')
        .optional(),
      ...modelFacts,
      timeout: z
        .string()
        .refine((given) => (readDuration(given) ?? 0) >= 1_000, { error: 'must be a time such as 90s or 10m' })
        .describe('How long a model may be silent: 5m unless given, 10m on your own network.')
        .optional(),
      models: z
        .record(z.string().min(1).max(200), z.strictObject(modelFacts))
        .describe('What is different for one of its models, by name.')
        .optional(),
    })
    .refine((given) => given.baseUrl !== undefined || kinds.find(({ type }) => type === given.type)?.url !== '', {
      error: 'needs a baseUrl',
      path: ['baseUrl'],
    });

const modelRef = z.string().regex(MODEL_REF, { error: 'must be provider/model, e.g. local/qwen3' });
const tier = z.array(modelRef).min(1).max(20);

const binding = z
  .strictObject({
    channel: z.string().min(1).max(64).describe('Name of a channel; every one unless given.').optional(),
    chat: z
      .union([z.string(), z.number().int().safe()])
      .transform(String)
      .refine((chat) => /^-?[\w.@-]{1,64}$/.test(chat), { error: "must be the platform's id of a chat" })
      .describe("The platform's id of a chat, in quotes; every one unless given.")
      .optional(),
    agent: z.string().min(1).max(64).describe('Who answers there.'),
  })
  .refine((given) => given.chat === undefined || given.channel !== undefined, {
    error: 'needs the channel the chat is on',
    path: ['chat'],
  });

/** Keys that DESIGN names for later. They are accepted with a warning, so that a file can be written ahead. */
export const SETTINGS_LATER = [
  'budgets',
  'calendar',
  'mcp',
  'memory',
  'owners',
  'schedules',
  'skills',
  'store',
  'triggers',
] as const;
export const TOOLS_LATER = ['browser', 'calendar', 'memory'] as const;

const later = <Name extends string>(names: readonly Name[]): Record<Name, z.ZodOptional<z.ZodUnknown>> =>
  Object.fromEntries(
    names.map((name) => [name, z.unknown().optional().describe('Known, but not built yet: it has no effect.')]),
  ) as Record<Name, z.ZodOptional<z.ZodUnknown>>;

/** What a channel holds beside its name is for its messenger to say. */
const channels = <Entry extends z.ZodType>(entry: Entry) =>
  z.record(channelName, entry).describe('Messengers, by a name that sessions and the record use.').optional();

/** What an account holds is for its type to say. */
const accounts = <Entry extends z.ZodType>(entry: Entry) =>
  z
    .record(accountName, entry)
    .describe('Servers with mail and the like, by a name that agents list under accounts.')
    .optional();

/** What a provider holds is for its kind to say. */
const models = <Entry extends z.ZodType>(provider: Entry) =>
  z
    .strictObject({
      providers: z
        .record(
          z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, {
            error: 'a provider is named with letters, digits, "-" and "_", beginning with a letter',
          }),
          provider,
        )
        .describe('Where models are had, by a name of your choice.')
        .optional(),
      light: tier.describe('Models for small work, in order of preference: provider/model.').optional(),
      standard: tier.describe('Models for everyday work, in order of preference.').optional(),
      strong: tier.describe('Models for hard work, in order of preference.').optional(),
      routing: routingSchema.optional(),
      sparing: z
        .boolean()
        .describe('false: every result of a tool is sent again with each request; true unless given.')
        .optional(),
    })
    .describe(
      'Without models those that are found are used: a key in the environment or in home, or Ollama; else the demo.',
    )
    .optional();

const settings = z.strictObject({
  models: models(z.unknown()),
  channels: channels(z.record(z.string(), z.unknown())),
  accounts: accounts(z.record(z.string(), z.unknown())),
  bindings: z
    .array(binding)
    .max(1000)
    .describe(
      'Which agent answers in which chat; the first that fits counts, one with only an agent is the front desk.',
    )
    .optional(),
  publicUrl: z
    .string()
    .max(300)
    .refine((given) => bareOrigin(given) !== null, {
      error: 'must be an address without a path, such as https://ruche.example.org',
    })
    .describe(
      'Where people reach the page, if a proxy stands before it: links name it, and requests for it are let in.',
    )
    .optional(),
  timezone: zoneName
    .describe('IANA name of the zone of the network, such as Europe/Paris; that of the machine unless given.')
    .optional(),
  zones: z
    .record(recipient, zoneName)
    .describe('The zones of people and chats elsewhere, by owner or CHANNEL:ADDRESS.')
    .optional(),
  concurrency: whole(1, 1000).describe('Runs at once; 50 unless given.').optional(),
  maxAttempts: whole(1, 100).describe('Attempts of a task before it is dead; 3 unless given.').optional(),
  patience: z
    .string({ error: timeNeeded })
    .refine((given) => (readDuration(given) ?? Infinity) <= 7 * 86_400_000, {
      error: 'must be a time such as 30m, 1h or 6h, at most 7d; 0s for none',
    })
    .describe('How long work of schedules and triggers waits for a model provider that is down; 1h unless given.')
    .optional(),
  limits: z
    .strictObject({
      steps: whole(1, 10_000)
        .describe('Model calls in one run, for each message it answers; 50 unless given.')
        .optional(),
      runMs: whole(1000, 7 * 86_400_000)
        .describe('Milliseconds of one run, waiting for a person not counted; 30 minutes unless given.')
        .optional(),
      toolOutput: whole(1000, 1_000_000)
        .describe('Characters of one tool result the model sees; 16000 unless given.')
        .optional(),
      shellMs: whole(100, 7 * 86_400_000)
        .describe('Milliseconds of one shell command; 120000 unless given.')
        .optional(),
      shellMemory: whole(16 * 1024 ** 2, 1024 ** 4)
        .describe('Bytes of memory of one shell command; 2 GiB unless given.')
        .optional(),
      shellProcesses: whole(1, 32_768).describe('Processes of one shell command; 256 unless given.').optional(),
      hops: whole(1, 100).describe('Tasks in a row that one message may lead to; 8 unless given.').optional(),
      tasks: whole(1, 100_000).describe('Tasks that one message may lead to in all; 200 unless given.').optional(),
      fanOut: whole(1, 10_000).describe('Tasks that one run may make; 25 unless given.').optional(),
    })
    .optional(),
  policy: z
    .strictObject({
      rules: z.array(rule).max(1000).describe('deny beats ask beats allow.').optional(),
      contacts: z
        .array(
          text.regex(/^(?:[^*]+|https?:\/\/[^*/]+\/[^*]*\*)$/, {
            error: 'may have a * only at the end of a URL, behind its host',
          }),
        )
        .max(1000)
        .describe('Addresses and URLs that may be written to without a question, whatever a run has read.')
        .optional(),
    })
    .describe('What agents may do; the built-in defaults apply where no rule matches.')
    .optional(),
  network: networkSchema
    .describe('The hosts that agents may reach at most; their own lists narrow it and give leave. Any unless given.')
    .optional(),
  private: z
    .array(z.string().min(1).refine(usablePathPattern, { error: 'must be a path pattern without ..' }))
    .max(100)
    .describe(
      'Globs of files with private data. A run that reads one asks before anything leaves, if it has also read text from outside.',
    )
    .optional(),
  queues: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, { error: 'a queue is named like its agent' }),
      z.strictObject({
        concurrency: whole(1, 1000).describe('Runs of this queue at once.').optional(),
        retries: whole(0, 99).describe('Further attempts of a task that fails, before it is dead.').optional(),
        input: z.unknown().describe('JSON Schema that the input of a task must fit.').optional(),
        state: z
          .enum(['open', 'paused', 'draining'])
          .describe('paused: nothing is begun. draining: what is there is worked off, nothing new is taken.')
          .optional(),
        budget: budgetSchema.optional(),
      }),
    )
    .describe('What is settled of single queues; each agent has a queue of its name.')
    .optional(),
  checks: z
    .array(z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(2000))
    .max(100)
    .describe('Addresses on the web that are looked at every few minutes, for the probes.')
    .optional(),
  compaction: z
    .union([
      z.literal(false),
      z.strictObject({
        at: z
          .string()
          .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'must be a time of the day such as 03:00' })
          .describe('When, by the clock of the network; 03:00 unless given.')
          .optional(),
        idle: z
          .string()
          .refine((given) => (readDuration(given) ?? 0) > 0, { error: 'must be a time such as 12h' })
          .describe('How long nothing was said; 12h unless given.')
          .optional(),
        tokens: whole(1_000, 10_000_000)
          .describe('Shorter conversations stay as they are; 20000 unless given.')
          .optional(),
        usd: z.number().min(0).max(10_000).describe('What one night may cost, in dollars; 1 unless given.').optional(),
      }),
    ])
    .describe('At night long conversations that rest are summarised by a light model; false: never.')
    .optional(),
  people: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, { error: 'a person is named with small letters, digits and "-"' }),
      z.array(recipient).min(1).max(50),
    )
    .describe('Persons and their addresses, where a rule wants several approvers; everybody else counts as the owner.')
    .optional(),
  approvals: z
    .strictObject({
      expire: z
        .string({ error: timeNeeded })
        .refine((given) => given === 'never' || (readDuration(given) ?? 0) >= 60_000, {
          error: 'must be a time such as 24h or 3d, or never',
        })
        .describe('When an approval is denied that no chain takes up; 24h unless given.')
        .optional(),
    })
    .describe('What becomes of approvals that nobody answers.')
    .optional(),
  escalation: z
    .record(CHAIN_NAME, chainSchema)
    .describe('Who hears about what waits for a person, and when. The chain `owner` is the default.')
    .optional(),
  quiet: quietSchema.optional(),
  budget: networkBudgetSchema.optional(),
  secrets: secretsSchema.optional(),
  ...sandboxKeys,
  ...later(SETTINGS_LATER),
});

/** `ruche.yaml`, with the kinds of providers that there are. */
export const settingsSchema = (kinds: readonly ProviderKind[]) =>
  settings.extend({ models: models(providerSchema(kinds)) });

export const agentSchema = z.strictObject({
  description: z.string().max(2000).describe('What the agent is for, in a sentence or two.').optional(),
  model: z
    .string()
    .regex(/^(light|standard|strong|[A-Za-z][A-Za-z0-9_-]*\/\S+)$/, {
      error: 'must be light, standard, strong or provider/model',
    })
    .describe('A tier (light, standard, strong) or provider/model; standard unless given.')
    .optional(),
  routing: agentRoutingSchema.optional(),
  tools: z.array(z.string().min(1).max(64)).max(100).describe('Tools the agent may use; others are denied.').optional(),
  rules: z.array(narrowingRule).max(1000).describe('May only narrow the rules of ruche.yaml.').optional(),
  network: networkSchema
    .describe('The only hosts the agent reaches, with fetch and from its commands: host, host:port, *.host or a map.')
    .optional(),
  schedules: z.array(scheduleSchema).max(100).describe('What the agent does by the clock.').optional(),
  triggers: z.array(triggerSchema).max(100).describe('What the agent does when something happens.').optional(),
  skills: z
    .array(z.string().refine(isSkillName, { error: 'must be the name of a folder in skills/, e.g. csv-report' }))
    .max(100)
    .describe('Skills the agent may use: folders of skills/, or bundled ones (`ruche skills list`).')
    .optional(),
  accounts: z
    .array(accountName)
    .max(100)
    .describe('Accounts of ruche.yaml that the agent may use; none unless given.')
    .optional(),
  escalation: CHAIN_NAME.describe(
    'The chain of ruche.yaml for what waits for a person; owner unless given.',
  ).optional(),
  budget: budgetSchema.optional(),
  ...sandboxKeys,
});

/** JSON Schemas for editors, by file name. */
export function editorSchemas({
  messengers,
  accounts: types,
  providers,
}: {
  messengers: readonly Messenger[];
  accounts: readonly AccountType[];
  providers: readonly ProviderKind[];
}): Record<string, unknown> {
  const make = (schema: z.ZodType, title: string): unknown => ({
    ...z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }),
    title,
  });
  const entry = z.union(messengers.map((each) => channelSchema(each)));
  const account = z.union(types.map((each) => accountSchema(each)));
  return {
    'ruche.schema.json': make(
      settingsSchema(providers).extend({ channels: channels(entry), accounts: accounts(account) }),
      'ruche.yaml',
    ),
    'agent.schema.json': make(agentSchema, 'Front matter of an AGENT.md'),
    'policy-cases.schema.json': make(casesSchema, 'Cases of ruche policy test'),
  };
}
