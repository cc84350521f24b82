import { NO_USAGE, TIERS } from '../../core/model.ts';
import type { ModelDesk, ModelsView, ModelView, ProviderView } from '../../core/api/views.ts';
import { type DeskOptions, setUp, tryOut } from './setup.ts';
import type { Models } from '../choice/choose.ts';
import { isAble } from '../choice/found.ts';
import type { ServerModel } from '../wire/provider.ts';
import { modelFacts } from '../prices/prices.ts';
import { abilitiesOf, assumedWindow, flawOf, isUnpriced, type KnownProvider, toldOf } from '../choice/providers.ts';
import { errorText } from '../../core/text/sentence.ts';

/** The models of the network: what there is, whether it works, and how to have one. */
export function openDesk(options: DeskOptions): ModelDesk {
  const { kinds } = options.found;
  return {
    makers: kinds.flatMap(({ type, maker }) => (maker ? [type] : [])),
    servers: kinds.flatMap(({ type, server }) => (server ? [type] : [])),
    list: (signal) => listModels(options, signal),
    async test(wanted, signal) {
      // It may be a key, put where the name of a model belongs.
      const ref = options.secrets.redact(wanted);
      const problem = options.secrets.redact(options.models().problem(wanted));
      const choice = options.models().choices(wanted)[0];
      if (problem !== '' || !choice) return { ref, ok: false, ms: 0, usage: NO_USAGE, costUsd: 0, said: problem };
      const { error: _error, ...tried } = await tryOut(choice, options.clock, signal);
      return { ref, ...tried };
    },
    setup: (request, signal) => setUp(options, request, signal),
  };
}

/** What is configured and found, and whatever is known of it. */
async function listModels(options: DeskOptions, signal: AbortSignal): Promise<ModelsView> {
  const { found, models: current, secrets } = options;
  await found.look(signal);
  const models = current();
  await models.prepare(signal, options.named());
  const { tiers, model, demo } = models.describe();
  const named = new Set([
    ...TIERS.flatMap((tier) => tiers[tier]),
    ...options.named().filter((ref) => ref.includes('/')),
  ]);
  const using = new Set([...named].map((ref) => ref.slice(0, ref.indexOf('/'))));
  const providers = models.providers().filter((each) => each.source !== 'built in' || using.has(each.name));
  const asked = await askServers(options, providers, signal);

  const refs = new Set(named);
  for (const { name, models: offered } of found.providers())
    for (const tier of TIERS) for (const each of offered?.[tier] ?? []) refs.add(`${name}/${each}`);
  for (const [name, { has }] of asked) for (const each of has) refs.add(`${name}/${each.name}`);

  const view = (ref: string): ModelView => {
    const at = ref.indexOf('/');
    const provider = models.providers().find(({ name }) => name === ref.slice(0, at));
    const name = ref.slice(at + 1);
    return modelView(
      options,
      ref,
      provider,
      name,
      models.problem(ref) || (asked.get(ref.slice(0, at))?.lacks(name) ?? ''),
    );
  };
  const providerView = (provider: KnownProvider): ProviderView => {
    const { name, type, baseUrl, source, apiKey } = provider;
    const flaw = flawOf(provider, secrets);
    const problem = flaw ? `${flaw.message}.` : (asked.get(name)?.problem ?? '');
    return { name, type, baseUrl: bare(baseUrl), source, key: apiKey, problem };
  };
  return {
    model,
    demo,
    providers: providers.map(providerView),
    models: [...refs].map(view).map((each) => ({ ...each, tiers: placesOf(each.ref, tiers) })),
  };
}

const placesOf = (ref: string, tiers: ReturnType<Models['describe']>['tiers']): ModelView['tiers'] =>
  TIERS.flatMap((tier) => (tiers[tier].includes(ref) ? [{ tier, place: tiers[tier].indexOf(ref) }] : []));

/** Without a user and password that may stand in it. */
function bare(baseUrl: string): string {
  const url = URL.parse(baseUrl);
  return url ? `${url.origin}${url.pathname.replace(/\/$/, '')}` : '';
}

function modelView(
  { found }: DeskOptions,
  ref: string,
  provider: KnownProvider | undefined,
  model: string,
  problem: string,
): ModelView {
  const none = { window: null, images: false, reasoning: false };
  const abilities = provider ? abilitiesOf(provider, model, found) : none;
  const told = provider && toldOf(provider, model).price;
  const facts = provider && !provider.kind.free ? modelFacts(model) : null;
  const known = facts && { input: facts.input, cached: facts.cached, output: facts.output, asOf: facts.asOf };
  const price = told ? { cached: told.input, ...told, asOf: TOLD } : known;
  const assumed =
    provider && abilities.window === null && provider.kind.standIn === undefined
      ? { assumed: assumedWindow(provider, model) }
      : {};
  const unpriced = provider && isUnpriced(provider, model) ? { unpriced: true } : {};
  return {
    ref,
    provider: provider?.name ?? '',
    model,
    tiers: [],
    ...abilities,
    ...assumed,
    price,
    ...unpriced,
    problem,
  };
}

/** Stands for the day on which a price was read, where the owner has given it. */
const TOLD = 'ruche.yaml';

interface Asked {
  has: readonly ServerModel[];
  problem: string;
  /** Why it cannot answer with this model. */
  lacks(model: string): string;
}

/** What every server that is known has, by the provider's name. */
async function askServers(
  { found, secrets }: DeskOptions,
  providers: readonly KnownProvider[],
  signal: AbortSignal,
): Promise<Map<string, Asked>> {
  const asked = new Map<string, Asked>();
  for (const provider of providers) {
    const { name, type, kind, baseUrl, apiKey } = provider;
    const servers = found.servers.get(type);
    if (!servers || !kind.server || flawOf(provider, secrets)) continue;
    const { title, commands, suggested, fullName } = kind.server;
    try {
      const has = await servers.list({ provider: name, baseUrl, apiKey }, signal);
      const problem = has.some(isAble) ? '' : `it has no model that can use tools: try ${commands.get(suggested)}.`;
      const lacks = (model: string): string => {
        const known = has.find((each) => fullName(each.name) === fullName(model));
        if (!known) return `${title} does not have it: ${commands.get(model)}`;
        return known.tools ? '' : 'It cannot use tools, so agents can do little with it.';
      };
      asked.set(name, { has, problem, lacks });
    } catch (error) {
      signal.throwIfAborted();
      const problem = `no ${title} answers at ${bare(baseUrl)}: start it with ${commands.start} (${secrets.redact(errorText(error))}).`;
      asked.set(name, { has: [], problem, lacks: () => `${problem.charAt(0).toUpperCase()}${problem.slice(1)}` });
    }
  }
  return asked;
}
