import type { ModelMessage, ModelRequest } from '../../src/core/model.ts';
import { readTool } from '../../src/tools/read.ts';
import { writeTool } from '../../src/tools/write.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, says, type ScriptTurn } from '../fakes/scripted-model.ts';

/** What a run makes of the lines it has read. It is asked again after a conflict. */
export type Edit = (lines: readonly string[]) => readonly string[];
/** By path. */
export type Edits = ReadonlyMap<string, Edit>;

export const EDITING = [readTool, writeTool];
export const AGENTS = ['assistant', ...Array.from({ length: 14 }, (_, n) => `agent-${n + 2}`)];

export const toText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
export const toLines = (text: string): string[] =>
  text.startsWith('[The file is empty') ? [] : text.split('\n').filter(Boolean);

const texts = ({ parts }: ModelMessage): string =>
  parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
const results = ({ parts }: ModelMessage): string[] =>
  parts.flatMap((part) => (part.type === 'result' ? [part.text] : []));

/** A model that reads, writes and is done, and after a conflict does so again for the files that it is about. */
export function editor(
  planOf: (words: string) => Edits,
  before: () => Promise<void> = async () => {},
): Extract<ScriptTurn, (...args: never[]) => unknown> {
  return async ({ messages }: ModelRequest) => {
    await before();
    const plan = planOf(texts(messages[0] ?? { role: 'user', parts: [] }));
    const told = messages.findLastIndex((message) => texts(message).startsWith('[Ruche]'));
    const note = told === -1 ? null : texts(messages[told] as ModelMessage);
    const paths = [...plan.keys()].filter((path) => note === null || note.includes(`\n${path}: `));
    const done = messages.slice(told + 1).flatMap(results);
    if (done.length === 0) return calls(...paths.map((path) => ['read', { path }] as const));
    if (done.length > paths.length) return says('done');
    return calls(
      ...paths.map((path, n) => {
        const there = done[n]?.startsWith('There is no') === true ? [] : toLines(done[n] ?? '');
        return ['write', { path, content: toText(plan.get(path)?.(there) ?? []) }] as const;
      }),
    );
  };
}

/** Resolves for everybody once so many have come. */
export function gate(count: number): () => Promise<void> {
  const open = Promise.withResolvers<void>();
  let come = 0;
  return () => {
    come += 1;
    if (come >= count) open.resolve();
    return open.promise;
  };
}

/** Gives a run's work to one of the agents, in a conversation of its own. */
export async function give(loop: Loop, n: number): Promise<string> {
  const result = await loop.runtime.deliver({
    channel: 'http',
    sender: 'person:owner',
    agent: AGENTS[n % AGENTS.length] ?? 'assistant',
    session: `s${n}`,
    text: `run ${n}`,
    replyTo: 'owner',
    externalId: `m${n}`,
  });
  if (!result.ok) throw new Error(result.message);
  return result.delivered.task;
}

export const numberIn = (words: string): number => Number(/run (\d+)/.exec(words)?.[1] ?? -1);
