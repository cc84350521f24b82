import type { RuntimeStatus } from '../core/api/runtime.ts';
import type { ModelsView, ModelTest, ModelView, SetupResult } from '../core/api/views.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { table } from './table.ts';
import { talk, type Talk } from './talk.ts';

export interface ModelsFlags {
  test?: boolean;
  json?: boolean;
  /** Type of a server that was found. */
  use?: string;
}

/** `ruche models`: what is configured and found, and with `--test` whether it answers. Exit code 1 if a model that a tier names does not. */
export async function models(io: Io, options: Options, flags: ModelsFlags): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  if (flags.use !== undefined) return useFound(io, gateway, flags.use, flags);
  const view = await gateway.call<ModelsView>('/api/models');
  const tests: ModelTest[] = [];
  // One after the other: a key that is limited would fail for our haste.
  for (const { ref, problem } of flags.test ? view.models : []) {
    if (problem !== '') continue;
    if (!flags.json && io.errIsTerminal) io.err(`asking ${plain(ref)} …\n`);
    tests.push(await gateway.call<ModelTest>('/api/models/test', { ref }));
  }
  if (flags.json) io.out(`${JSON.stringify({ ...view, ...(flags.test ? { tests } : {}) })}\n`);
  else io.out(`${modelsText(view, tests)}\n`);
  const failed = (model: ModelView): boolean =>
    model.tiers.length > 0 && (model.problem !== '' || tests.some(({ ref, ok }) => ref === model.ref && !ok));
  return view.models.some(failed) ? 1 : 0;
}

/** The owner's yes to a server that was found: it is tried, and kept if it works. */
async function useFound(io: Io, gateway: Talk, kind: string, { json }: ModelsFlags): Promise<ExitCode> {
  // Looks for it, too: it may have been started a moment ago.
  await gateway.call<ModelsView>('/api/models');
  const { offer } = await gateway.call<RuntimeStatus>('/api/status');
  if (offer?.kind !== kind)
    throw new CliError(
      `No ${plain(kind)} was found that could be used, or another model is chosen. See what there is with: ${io.self} models`,
    );
  const { baseUrl, model } = offer;
  const result = await gateway.call<SetupResult>('/api/setup', { kind, baseUrl, model });
  if (json) io.out(`${JSON.stringify(result)}\n`);
  else if (result.ok) io.out(`${plain(result.model)} answers from now on.\n`);
  else io.err(`ruche: ${plain(result.message)}\n`);
  return result.ok ? 0 : 1;
}

export function modelsText(view: ModelsView, tests: readonly ModelTest[]): string {
  const rows = view.models.map((model) => [
    model.ref,
    model.tiers.map(({ tier, place }) => (place === 0 ? tier : `${tier} ${place + 1}`)).join(', '),
    tokens(model),
    [model.images ? 'images' : '', model.reasoning ? 'thinks' : ''].filter(Boolean).join(', '),
    priceOf(model),
    stateOf(view, model, tests),
  ]);
  const places = view.providers.map(({ name, type, source, key, baseUrl, problem }) => [
    name,
    type === name ? '' : type,
    source,
    key ?? '',
    baseUrl,
    problem,
  ]);
  const dates = view.models.flatMap(({ price }) => (price ? [price.asOf] : [])).sort();
  const read =
    dates.length > 0 ? `Prices in USD per million tokens, as of ${dates[0]}; cached input in the middle.` : '';
  return [
    whoAnswers(view),
    '',
    ...table(withoutEmpty(['MODEL', 'TIERS', 'WINDOW', 'CAN', 'IN / CACHED / OUT', ''], rows)),
    '',
    ...table(withoutEmpty(['PROVIDER', 'TYPE', 'FROM', 'KEY', 'AT', ''], places)),
    ...(read === '' ? [] : ['', read]),
  ].join('\n');
}

/** The first of `standard` that can, or why none can. */
function whoAnswers({ model, demo, models: all }: ModelsView): string {
  const place = ({ tiers }: ModelView): number => tiers.find(({ tier }) => tier === 'standard')?.place ?? Infinity;
  const standard = all.filter((each) => place(each) < Infinity).sort((a, b) => place(a) - place(b));
  const answers = standard.find(({ problem }) => problem === '')?.ref;
  if (answers === undefined && standard.length > 0)
    return `No model can answer: ${standard.map(({ ref, problem }) => `${plain(ref)}: ${oneLine(problem, 160)}`).join(' ')}`;
  return `${plain(answers ?? model)} answers${demo ? ': the built-in demo, which understands a dozen sentences' : ''}.`;
}

function stateOf({ providers }: ModelsView, model: ModelView, tests: readonly ModelTest[]): string {
  // Said once, with the provider.
  const provider = providers.find(({ name }) => name === model.provider);
  const same = provider && model.problem.toLowerCase().endsWith(provider.problem.toLowerCase());
  if (provider && provider.problem !== '' && same) return `cannot answer: see ${provider.name} below`;
  if (model.problem !== '') return oneLine(model.problem, 160);
  const test = tests.find(({ ref }) => ref === model.ref);
  if (!test) return '';
  const cost = test.unpriced ? ', cost unknown' : test.costUsd > 0 ? `, $${test.costUsd.toFixed(5)}` : '';
  return test.ok ? `works: ${(test.ms / 1000).toFixed(1)} s${cost}` : `fails: ${oneLine(test.said, 240)}`;
}

const priceOf = ({ price, unpriced }: ModelView): string =>
  price ? `${price.input} / ${price.cached} / ${price.output}` : unpriced ? 'unknown' : '';

function tokens({ window, assumed }: Pick<ModelView, 'window' | 'assumed'>): string {
  const short = (count: number): string =>
    count >= 1_000_000 ? `${Number((count / 1_000_000).toFixed(1))}M` : `${Math.round(count / 1_000)}k`;
  if (window !== null) return short(window);
  return assumed === undefined ? '' : `${short(assumed)} assumed`;
}

/** A column without cells is left out. */
function withoutEmpty(head: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  const used = head.map((_, at) => at).filter((at) => rows.some((row) => row[at] !== ''));
  return [head, ...rows].map((row) => used.map((at) => oneLine(row[at] ?? '', 300)));
}
