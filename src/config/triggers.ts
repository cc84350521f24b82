import type { Agent, Problem } from '../core/agent.ts';
import { readDuration } from '../core/text/duration.ts';
import { usablePathPattern } from '../core/text/glob.ts';
import { unknownPlaceholder } from '../core/trigger-text.ts';
import { hookAuth, readLimit, type Trigger, type TriggerOn, type TriggerSource } from '../core/trigger.ts';
import { readCondition } from './conditions.ts';
import type { TriggerEntry } from './trigger-schema.ts';
import { problem, type Path, type YamlSource } from './yaml-source.ts';

/** How old a signed request may be unless its trigger says. */
const WINDOW_MS = 5 * 60_000;
const LONGEST = 86_400_000;

/** Keys that say what exactly is listened to: which go with which `on`, and which must be there. */
const KEYS: Readonly<
  Record<TriggerOn, { may: readonly (keyof TriggerEntry)[]; must: readonly (keyof TriggerEntry)[] }>
> = {
  'file.landed': { may: ['path'], must: ['path'] },
  'task.done': { may: ['queue', 'agent'], must: [] },
  'task.failed': { may: ['queue', 'agent'], must: [] },
  'task.dead': { may: ['queue', 'agent'], must: [] },
  'run.failed': { may: ['agent'], must: [] },
  message: { may: ['channel', 'sender', 'pattern', 'agent'], must: [] },
  webhook: { may: ['hook', 'auth', 'secret', 'window'], must: ['hook', 'auth', 'secret'] },
  'approval.waiting': { may: ['agent', 'tool'], must: [] },
  'mail.received': {
    may: ['account', 'folder', 'from', 'addressee', 'subject', 'attachment', 'list'],
    must: [],
  },
};
const FILTERS = [...new Set(Object.values(KEYS).flatMap(({ may }) => may))];

/** Reads the triggers of a file whose shape is right; what can never work is a problem with line and key. */
export function readTriggers(
  given: readonly TriggerEntry[],
  source: YamlSource,
  file: string,
  accounts: readonly string[] = [],
): { triggers: Trigger[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const triggers = given.map((each, index) => {
    const add = (key: string, said: string): void => {
      const path: Path = ['triggers', index, ...(key === '' ? [] : [key])];
      problems.push(problem(file, source.lineOf(path), path.join('.'), said));
    };
    if (given.slice(0, index).some((other) => other.name === each.name))
      add('name', `"${each.name}" names an earlier trigger already`);
    check(each, add);
    if (each.on === 'mail.received' && accounts.length === 0)
      add('on', 'hears nothing: the agent has no account; list one under accounts');
    else if (each.account !== undefined && each.on === 'mail.received' && !accounts.includes(each.account))
      add('account', `"${each.account}" is not among the agent's accounts: ${accounts.join(', ')}`);
    return toTrigger(each, accounts);
  });
  for (const [index, { source: own }] of triggers.entries())
    if (own.on === 'webhook' && hookAuth(triggers.slice(0, index + 1), own.hook) === 'ambiguous')
      problems.push(
        problem(file, source.lineOf(['triggers', index, 'hook']), `triggers.${index}.hook`, disagreeing(own.hook)),
      );
  return { triggers, problems };
}

const disagreeing = (hook: string): string =>
  `the hook "${hook}" is told apart otherwise by another trigger: auth, secret and window must be the same`;

/** Whether its signatures name a time. */
const isTimed = (auth: TriggerEntry['auth']): boolean => auth === 'hmac' || auth === 'standard';

function check(given: TriggerEntry, add: (key: string, said: string) => void): void {
  const { on, path, task, run, when, debounce, window, each } = given;
  const { may, must } = KEYS[on];
  for (const key of FILTERS)
    if (given[key] !== undefined && !may.includes(key)) add(key, `has no meaning with on: ${on}`);
  for (const key of must) if (given[key] === undefined) add('', `needs ${key} with on: ${on}`);
  if (each === true && on !== 'file.landed') add('each', `has no meaning with on: ${on}`);
  if (each === true && run !== undefined) add('each', 'has a meaning only with task: a script is not told of files');
  if (window !== undefined && !isTimed(given.auth)) add('window', 'has a meaning only with auth: hmac or standard');
  for (const [key, length] of [
    ['debounce', debounce],
    ['window', window],
  ] as const)
    if ((readDuration(length ?? '') ?? 0) > LONGEST) add(key, 'must be at most 1d');
  for (const pattern of [path ?? []].flat()) {
    if (/^(?:\/|~|[A-Za-z]:[\\/])/.test(pattern))
      add('path', `"${pattern}" is a path of the machine: write a path inside the workspace, e.g. shared/*.md`);
    else if (!usablePathPattern(pattern)) add('path', `"${pattern}" cannot be matched: it must stay in the workspace`);
    if (/^\/?tasks(?:\/|$)/.test(pattern))
      add('path', `"${pattern}" never fires: tasks/ is a view, and nothing lands there`);
  }
  const wrong = task === undefined ? null : unknownPlaceholder(task, on);
  if (wrong !== null) add('task', wrong);
  if (run?.includes('{{'))
    add('run', 'takes no placeholders: what comes from outside must not become part of a command');
  const read = when === undefined ? null : readCondition(when, on);
  if (read?.ok === false) add('when', read.error);
}

function toTrigger(given: TriggerEntry, accounts: readonly string[]): Trigger {
  const { name, when, debounce, each, limit, task, run } = given;
  return {
    name,
    source: sourceOf(given, accounts),
    when: when ?? null,
    debounce: readDuration(debounce ?? '') ?? 0,
    // Left out where it is not wanted: a rule that reads as it did before counts as the same.
    ...(each === true ? { each } : {}),
    limit: limit === undefined ? null : readLimit(limit),
    work: run === undefined ? { kind: 'task', text: task ?? '' } : { kind: 'run', command: run },
    ...(given.to === undefined ? {} : { to: given.to }),
  };
}

function sourceOf(given: TriggerEntry, accounts: readonly string[]): TriggerSource {
  const { on, path, agent = null, queue = null, tool = null } = given;
  switch (on) {
    case 'file.landed':
      return { on, paths: [path ?? []].flat() };
    case 'run.failed':
      return { on, agent };
    case 'message': {
      const { channel = null, sender = null, pattern = null } = given;
      return { on, channel, sender, pattern, agent };
    }
    case 'webhook': {
      const { hook = '', auth: kind = 'hmac', window } = given;
      const [secret = '', ...others] = [given.secret ?? []].flat();
      const auth = { kind, secret, windowMs: readDuration(window ?? '') ?? WINDOW_MS };
      return { on, hook, auth: others.length === 0 ? auth : { ...auth, others } };
    }
    case 'approval.waiting':
      return { on, agent, tool };
    case 'mail.received': {
      const {
        account,
        folder = null,
        from = null,
        addressee = null,
        subject = null,
        attachment = null,
        list = null,
      } = given;
      // Those of the agent now: what it is not let into, it does not hear of.
      const heard = account === undefined ? [...accounts].sort() : [account];
      return { on, accounts: heard, folder, from, addressee, subject, attachment, list };
    }
    default:
      return { on, queue, agent };
  }
}

/** Hooks on whose senders agents do not agree: such a hook answers nobody. */
export function lostHooks(agents: ReadonlyMap<string, Agent>): Problem[] {
  const before: Trigger[] = [];
  const problems: Problem[] = [];
  for (const { name, triggers = [] } of agents.values()) {
    for (const { source } of triggers) {
      if (source.on !== 'webhook') continue;
      const others = [...before, ...triggers];
      if (hookAuth(others, source.hook) === 'ambiguous' && hookAuth(before, source.hook) !== null)
        problems.push(
          problem(
            `agents/${name}/AGENT.md`,
            null,
            'triggers',
            `${disagreeing(source.hook)}. Until then it answers nobody.`,
          ),
        );
    }
    before.push(...triggers);
  }
  return problems;
}
