import type { NewTaskCall, TaskCall } from '../core/task.ts';
import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { readMoment } from '../core/time/wall.ts';
import { argsSchema, readArgs } from './args.ts';

const ARGS = {
  action: ['text', 'create, read, cancel or wait'],
  agent: 'text?',
  title: 'text?',
  text: ['text?', 'What to do'],
  input: 'any?',
  artefacts: ['list?', 'Paths it may read'],
  key: ['text?', 'Equal keys: one task'],
  priority: 'count?',
  notBefore: ['text?', 'ISO time'],
  deadline: 'text?',
  after: ['list?', 'Task ids'],
  wait: ['flag?', 'For its result'],
  tasks: ['list?', 'Ids to read, cancel, wait for'],
} as const;

const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });

function timeOf(name: string, text: string | null): Parsed<number | null> {
  if (text === null) return { ok: true, value: null };
  // Without an offset it would be the time of whichever machine reads it.
  const at = /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) ? Date.parse(text) : Number.NaN;
  const day = text.slice(0, 10);
  // Read leniently, the 30th of February would be the 2nd of March.
  if (!Number.isNaN(at) && readMoment(day) === null)
    return bad(`"${name}" is ${JSON.stringify(text)}, and there is no ${day} in the calendar`);
  if (!Number.isNaN(at)) return { ok: true, value: at };
  const wrong = `and is ${JSON.stringify(text.slice(0, 60))}`;
  return bad(
    `"${name}" must be a time with its offset such as 2026-11-23T08:15:00+01:00 or 2026-11-23T07:15:00Z, ${wrong}`,
  );
}

/** Reads what makes a task, from a model or from a file. */
export function parseTask(args: unknown): Parsed<TaskCall> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { action, agent, tasks, ...given } = parsed.value;
  if (action === 'read' || action === 'cancel' || action === 'wait')
    return tasks.length > 0
      ? { ok: true, value: { action, tasks: [...new Set(tasks)] } }
      : bad('"tasks" must name the tasks by their ids');
  if (action !== 'create') return bad('"action" must be create, read, cancel or wait');
  if (agent === null) return bad('"agent" is missing');
  if (!given.text?.trim() && !given.title?.trim() && given.input === null)
    return bad('it says nothing to do: give "text", "title" or "input"');
  const [notBefore, deadline] = [timeOf('notBefore', given.notBefore), timeOf('deadline', given.deadline)];
  if (!notBefore.ok) return notBefore;
  if (!deadline.ok) return deadline;
  const { title, text, input, artefacts, key, priority, after, wait } = given;
  const times = { notBefore: notBefore.value, deadline: deadline.value };
  const rest = { artefacts, key, priority: priority ?? 0, after, wait, ...times };
  const value: NewTaskCall = { action, agent, title, text, input, ...rest };
  return { ok: true, value };
}

/** Work for another agent. */
export const taskTool: EngineTool<TaskCall> = {
  kind: 'engine',
  name: 'task',
  usualFor: 'delegating',
  description: 'Give work to another agent, or look after tasks given.',
  effect: 'write',
  critical: ['agent'],
  schema: argsSchema(ARGS),
  parse: parseTask,
  // The place where a task of that queue shows as a file, so that rules speak of it as of any path.
  facts: (call) => ({ paths: [call.action === 'create' ? `tasks/${call.agent}` : 'tasks'] }),
  asks: (task) => ({ kind: 'task', task }),
};
