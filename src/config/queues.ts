import type { Agent, Problem, QueueSettings, Settings } from '../core/agent.ts';
import type { Json } from '../core/text/json.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { budgetOf } from './budget-schema.ts';
import { at } from './validate.ts';
import { readSchema } from './json-schema/read.ts';
import { problem } from './yaml-source.ts';
import type { YamlSource } from './yaml-source.ts';

interface Given {
  concurrency?: number | undefined;
  retries?: number | undefined;
  state?: QueueSettings['state'] | undefined;
  budget?: Parameters<typeof budgetOf>[0] | undefined;
}

/** The queues of `ruche.yaml`. A schema with a word that is not understood would seem to hold, so it is an error. */
export function queuesOf(
  given: Readonly<Record<string, Given>>,
  source: YamlSource,
  file: string,
): { settings: Record<string, QueueSettings>; problems: Problem[] } {
  const settings: Record<string, QueueSettings> = {};
  const problems: Problem[] = [];
  for (const [name, { concurrency = null, retries, state = 'open', budget }] of Object.entries(given)) {
    const path = ['queues', name, 'input'];
    // As it was written: a null in a schema is a value, and nothing that was left out.
    const input = at(source.value, path) ?? null;
    const read = input === null ? null : readSchema(input as Json);
    if (read?.ok === false) {
      const place = [...path, ...read.at];
      problems.push(problem(file, source.lineOf(place), place.join('.'), read.error));
    }
    const maxAttempts = retries === undefined ? null : retries + 1;
    const spends = budget === undefined ? {} : { budget: budgetOf(budget) };
    settings[name] = { concurrency, maxAttempts, input: read?.ok ? read.schema : null, state, ...spends };
  }
  return { settings, problems };
}

/** Queues of nobody: a queue has the name of its agent. A warning, or an agent could not be removed while its settings stand. */
export const lostQueues = (agents: ReadonlyMap<string, Agent>, { queues }: Settings, file: string): Problem[] =>
  Object.keys(queues).flatMap((name) => {
    if (agents.has(name)) return [];
    const said = `unknown agent "${name}": a queue without an agent takes nothing.${didYouMean(name, agents.keys())}`;
    return [problem(file, null, `queues.${name}`, said, 'warning')];
  });
