import type { Json } from '../../core/text/json.ts';

/** A tool call the demo model wants made. */
export interface ToolUse {
  tool: string;
  args: { [name: string]: Json };
}

/** What came of it. */
export interface Outcome {
  text: string;
  isError: boolean;
}

/** One thing to do: it yields calls, is resumed with their outcomes, and returns what to tell the person. */
export interface Step {
  /** What was asked, for the person. */
  label: string;
  run(): Generator<ToolUse, string, Outcome>;
  /** The file it changes, and whether it may simply be done again when someone else has changed it too. */
  changes?: { path: string; again: boolean };
}

const told = (label: string, { text, isError }: Outcome): string => {
  // A command that ran and failed was done all the same.
  const head = isError ? `${label} ${/(^|\n)exit \d+/.test(text) ? 'failed' : 'was not done'}` : label;
  if (text.trim() === '') return isError ? `${head}.` : `${head}: done.`;
  return text.includes('\n') ? `${head}:\n${text}` : `${head}: ${text}`;
};

/** A step of a single call. */
export const oneCall = (label: string, use: ToolUse): Step => ({
  label,
  *run() {
    return told(label, yield use);
  },
});

/** A step that calls nothing. */
export const saying = (label: string, text: string): Step => ({
  label,
  // oxlint-disable-next-line require-yield -- some sentences need no tool
  *run() {
    return text;
  },
});

/** Names tried for schedules of one time. */
const NAMES = 20;

/** Makes a schedule, under the next name if there is one of that name. */
export const scheduled = (name: string, rest: { [name: string]: string }): Step => ({
  label: `schedule ${name}`,
  *run() {
    for (let count = 1; ; count += 1) {
      const free = count === 1 ? name : `${name}-${count}`;
      const outcome = yield { tool: 'schedule', args: { create: { name: free, ...rest } } };
      const taken = outcome.isError && outcome.text.includes(`there is a schedule "${free}" already`);
      if (!taken || count === NAMES) return told(`schedule ${free}`, outcome);
    }
  },
});

const UNREAD = /^You have not read /;

/** Looks at a file that is there already before it replaces it. One that has changed since is left to the person. */
export function writing(path: string, content: string): Step {
  const label = `write ${path}`;
  const write: ToolUse = { tool: 'write', args: { path, content } };
  return {
    label,
    changes: { path, again: false },
    *run(): Generator<ToolUse, string, Outcome> {
      const outcome = yield write;
      if (!outcome.isError || !UNREAD.test(outcome.text)) return told(label, outcome);
      const before = yield { tool: 'read', args: { path } };
      return told(label, before.isError ? before : yield write);
    },
  };
}

/** Reads first: a file the run has not seen is not edited. */
export function editing(path: string, old: string, text: string): Step {
  const label = `edit ${path}`;
  return {
    label,
    changes: { path, again: true },
    *run(): Generator<ToolUse, string, Outcome> {
      const before = yield { tool: 'read', args: { path } };
      if (before.isError) return told(label, before);
      return told(label, yield { tool: 'edit', args: { path, old, new: text } });
    },
  };
}

const MISSING = /no such file|not found|does not exist|there is no file/i;
const EMPTY = '[The file is empty.]';
/** Longer results may have been shortened on their way here: only the end of the file is taken from them. */
const WHOLE = 4_000;
const ENDS = [400, 2_000];
/** What shows a file's beginning only. */
const EXCERPT = /^\[Lines \d+ to \d+ of \d+/;

/** Reads, then writes the old text with the new one behind it; of a long file only the end is replaced. */
export function appending(path: string, text: string): Step {
  const label = `append ${path}`;
  return {
    label,
    changes: { path, again: true },
    *run(): Generator<ToolUse, string, Outcome> {
      const before = yield { tool: 'read', args: { path } };
      if (before.isError && !MISSING.test(before.text)) return told(label, before);
      const old = before.isError || before.text === EMPTY ? '' : before.text;
      if (old.length <= WHOLE) return told(label, yield { tool: 'write', args: { path, content: old + text } });
      if (EXCERPT.test(old)) return told(label, { text: 'the file is too long for the demo model', isError: true });
      let outcome: Outcome = { text: 'the end of the file was not found', isError: true };
      for (const length of ENDS) {
        const end = old.slice(-length);
        outcome = yield { tool: 'edit', args: { path, old: end, new: end + text } };
        if (!outcome.isError) break;
      }
      return told(label, outcome);
    },
  };
}

/** What stands behind each answer of the demo model; one is enough. */
export const SIGNATURE = '(demo model: no language model is configured)';

/** Gives an order to another agent, waits for what comes of it, and passes that on. */
export function asking(agent: string, text: string, path: string | null): Step {
  const label = `ask ${agent}`;
  const given = { action: 'create', agent, text, wait: true };
  const args: ToolUse['args'] = path === null ? given : { ...given, artefacts: [path] };
  return {
    label,
    *run(): Generator<ToolUse, string, Outcome> {
      const outcome = yield { tool: 'task', args };
      const said = outcome.text.replace(/^tsk_[\w-]+ \([\w-]+\): \w+\n/, '').replaceAll(SIGNATURE, '');
      return told(label, { ...outcome, text: said.trim() });
    },
  };
}
