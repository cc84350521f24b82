import type { Settings } from '../../core/agent.ts';
import { parseTarget } from '../../core/net/host.ts';
import {
  type ModelError,
  TIERS,
  type ModelChoice,
  type ModelRequest,
  type ToolSchema,
  type Usage,
  NO_USAGE,
} from '../../core/model.ts';
import type { KeptSecrets } from '../../core/ports/secrets.ts';
import type { SetupRequest, SetupResult, ModelTest } from '../../core/api/views.ts';
import { isAble, type Found } from '../choice/found.ts';
import type { KeptProvider } from '../choice/kept.ts';
import type { Provider, ServerKind, ServerModel } from '../wire/provider.ts';
import { choiceOf, isStandIn, knownProviders, type ProviderParts } from '../choice/providers.ts';
import type { Models } from '../choice/choose.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { errorText } from '../../core/text/sentence.ts';
import { secretIn } from '../../core/ids.ts';

type Refusal = Extract<SetupResult, { ok: false }>;
type Planned = { ok: true; provider: KeptProvider; model: string; key: string | null } | Refusal;

/** Characters. */
const MAX_KEY = 4096;

const refuse = (field: Refusal['field'], message: string): Refusal => ({ ok: false, field, message });

/** Tries what a person gave, and keeps it in home only if it works. */
export async function setUp(options: DeskOptions, request: SetupRequest, signal: AbortSignal): Promise<SetupResult> {
  const { secrets, found } = options;
  const key = request.key ? request.key.trim() : null;
  // Before anything can fail and say so. What is longer is no key, and hiding it would cost its length many times over.
  if (key !== null && key.length <= MAX_KEY) secrets.hide(key);
  if (key !== null && (key.length > MAX_KEY || !/^[\x21-\x7e]{8,}$/.test(key)))
    return refuse('key', 'That is no key: it should be one long word. Copy it once more from the provider’s page.');
  const planned = await plan(options, request, key, signal);
  if (!planned.ok) return planned;
  const { provider, model } = planned;
  if (options.settings().providers.some((each) => each.name === provider.name && !isStandIn(each, found.kinds)))
    return refuse(
      'baseUrl',
      `ruche.yaml has a provider "${provider.name}" of its own, which counts more: change it there.`,
    );
  const given = [{ ...provider, source: 'home' as const, models: null }];
  const known = knownProviders(found.kinds, { providers: [] }, given).get(provider.name);
  if (!known) return refuse('baseUrl', 'This provider is not known.');
  const choice = choiceOf(known, model, { ...options, secrets: withKey(secrets, provider.apiKey, planned.key) });
  const tried = await tryOut(choice, options.clock, signal);
  signal.throwIfAborted();
  if (tried.error) return refuse(fieldOf(tried.error, request), advice(tried.error, known.kind));
  if (planned.key !== null && provider.apiKey !== null)
    try {
      await secrets.keep(secretIn(provider.apiKey) ?? '', planned.key);
    } catch (error) {
      return refuse('key', `The key works, and could not be kept. ${errorText(error)}`);
    }
  await found.keep(provider);
  const ref = `${provider.name}/${model}`;
  const unused = TIERS.some((tier) => options.settings().tiers[tier].length > 0);
  const hint = unused ? ` (ruche.yaml names the models that are used: name ${ref} there.)` : '';
  return { ok: true, model: ref, said: `${tried.said}${hint}` };
}

/** The secrets, with a key that is not kept yet under the reference that it will have. */
const withKey = (secrets: KeptSecrets, ref: string | null, key: string | null): KeptSecrets => ({
  ...secrets,
  has: (asked) => (key !== null && asked === ref) || secrets.has(asked),
  resolve: (asked, forWhom) => (key !== null && asked === ref ? Promise.resolve(key) : secrets.resolve(asked, forWhom)),
});

async function plan(
  options: DeskOptions,
  request: SetupRequest,
  key: string | null,
  signal: AbortSignal,
): Promise<Planned> {
  const wanted = request.model?.trim() || null;
  const baseUrl = request.baseUrl?.trim() || null;
  const { kinds } = options.found;
  const server = kinds.find((each) => each.server && each.type === request.kind);
  if (server?.server) return planServer(options, { ...server, server: server.server }, baseUrl, wanted, signal);
  if (baseUrl !== null) {
    const parsed = parseTarget(baseUrl);
    if (!parsed.ok || /[?#]/.test(baseUrl))
      return refuse(
        'baseUrl',
        `This is no address of an API${parsed.ok ? '' : ` (${parsed.reason})`}: it looks like https://api.example.org/v1.`,
      );
  }
  if (request.kind === 'key') {
    const kind = kinds.find(({ type, maker }) => maker && type === request.provider);
    if (!kind) return refuse('key', 'The maker of this key is unknown.');
    if (key === null) return refuse('key', 'Give the key.');
    const { name, type, maker } = kind;
    const provider: KeptProvider = { name, type, baseUrl, apiKey: `secret:${name}`, model: wanted };
    return { ok: true, provider, model: wanted ?? maker?.models.standard[0] ?? '', key };
  }
  const any = kinds.find(({ url }) => url === '');
  if (!any) return refuse('baseUrl', 'This provider is not known.');
  if (baseUrl === null) return refuse('baseUrl', 'Give the address of the API.');
  if (wanted === null) return refuse('model', 'Give the name of a model that is there.');
  const { name, type } = any;
  const provider: KeptProvider = {
    name,
    type,
    model: wanted,
    baseUrl: baseUrl.replace(/(?:\/chat\/completions)?\/*$/, ''),
    apiKey: key === null ? null : `secret:${name}`,
  };
  return { ok: true, provider, model: wanted, key };
}

async function planServer(
  { found, secrets }: DeskOptions,
  { name, type, url, server }: Provider & { server: ServerKind },
  written: string | null,
  wanted: string | null,
  signal: AbortSignal,
): Promise<Planned> {
  const { title, commands, suggested } = server;
  const baseUrl = server.urlOf(written ?? '');
  if (baseUrl === null) return refuse('baseUrl', `This is no address: it looks like ${url}.`);
  let has: ServerModel[];
  try {
    has = (await found.servers.get(type)?.list({ provider: name, baseUrl, apiKey: null }, signal)) ?? [];
  } catch (error) {
    signal.throwIfAborted();
    return refuse('baseUrl', `No ${title} answers at ${baseUrl}: is it running? (${secrets.redact(errorText(error))})`);
  }
  const model = wanted ?? has.find(isAble)?.name;
  if (model === undefined)
    return refuse(
      'model',
      `This ${title} has no model that can use tools: try ${commands.get(suggested)}, then come back.`,
    );
  const provider: KeptProvider = { name, type, baseUrl, apiKey: null, model };
  return { ok: true, provider, model, key: null };
}

function fieldOf(error: ModelError, request: SetupRequest): Refusal['field'] {
  const hasKey = Boolean(request.key);
  if (error.kind === 'auth' || error.kind === 'rate') return hasKey || request.kind === 'key' ? 'key' : 'baseUrl';
  if (error.kind === 'invalid' && /does not know the model|found nothing for the model/.test(error.message))
    return 'model';
  return 'baseUrl';
}

/** What is wrong, without the words that only help who has written `ruche.yaml`. */
function advice(error: ModelError, { server }: Provider): string {
  if (error.kind === 'auth' && !server)
    return error.message.replace(
      /: check apiKey of \S+ in ruche\.yaml, and what the key may do\./,
      ': copy it once more, and see what it may do.',
    );
  return error.message.replace(/baseUrl of models\.providers\.\S+ in ruche\.yaml/, 'the address');
}

export interface DeskOptions extends Omit<ProviderParts, 'secrets' | 'found'> {
  secrets: KeptSecrets;
  found: Found;
  /** In force now. */
  settings(): Pick<Settings, 'providers' | 'tiers'>;
  models(): Models;
  /** What agents name as their model: tiers and `provider/model`. */
  named(): readonly string[];
}

/** Milliseconds one call may take. */
const TEST_MS = 60_000;
/** Agents always bring tools, and servers that take none would fail their every turn. */
const TEST_TOOL: ToolSchema = {
  name: 'note',
  description: 'Notes a word. Not needed to answer.',
  input: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
};

const TEST: Omit<ModelRequest, 'model'> = {
  system: 'This is a test of the connection. Answer with one short sentence.',
  tools: [TEST_TOOL],
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hello! Are you there?' }] }],
};

interface Tried extends Omit<ModelTest, 'ref'> {
  error: ModelError | null;
}

const emptyAnswer = ({ provider, model }: ModelChoice): ModelError => ({
  kind: 'invalid',
  message: `${provider}/${model} gave an empty answer.`,
  retryable: true,
  retryAfter: null,
});

/** One small call as an agent makes it: with a tool and without a limit. Rejects for nothing but a bug. */
export async function tryOut(choice: ModelChoice, clock: Clock, signal: AbortSignal): Promise<Tried> {
  const late = new AbortController();
  const done = new AbortController();
  // It only ends the call, and is ended by it.
  clock.sleep(TEST_MS, done.signal).then(
    () => late.abort(),
    () => undefined,
  );
  const before = clock.now();
  let said = '';
  let called = false;
  let usage: Usage = NO_USAGE;
  let error: ModelError | null = null;
  try {
    const request = { ...structuredClone(TEST), model: choice.model };
    for await (const event of choice.port.stream(request, AbortSignal.any([signal, late.signal]))) {
      if (event.type === 'text') said += event.delta;
      called ||= event.type === 'call';
      if (event.type === 'finish' || event.type === 'error') usage = event.usage;
      if (event.type === 'error') error = event.error;
    }
  } finally {
    done.abort();
  }
  const ms = clock.now() - before;
  if (late.signal.aborted && !signal.aborted && error)
    error = {
      ...error,
      kind: 'timeout',
      message: `${choice.provider}/${choice.model} did not answer within a minute.`,
    };
  if (!error && !called && said.trim() === '') error = emptyAnswer(choice);
  const text = error ? error.message : said.trim() || '(a call of the test tool)';
  const cost = { costUsd: choice.cost(usage), unpriced: choice.unpriced === true };
  return { ok: error === null, ms, usage, ...cost, said: text, error };
}
