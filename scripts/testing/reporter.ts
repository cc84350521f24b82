// Passes the test runner's events on to scripts/test.ts: one JSON text a line, each after a record separator, so that
// what the tests themselves print cannot be mistaken for one.
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';

export type Report =
  | { kind: 'queued' }
  | {
      kind: 'passed' | 'failed';
      name: string;
      where: string;
      ms: number;
      top: boolean;
      suite: boolean;
      skip?: string;
      error?: string;
    }
  | { kind: 'note'; text: string }
  | { kind: 'end'; ok: boolean; cpuMs: number };

export const MARK = '\u001e';

// Counts that the runner repeats at its end.
const OWN_NOTES = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const TICK_MS = 10;

/** Of a processor, used by this process and by those that it has started and seen end. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1000;
  if (process.platform !== 'linux') return own;
  // After the name in brackets, which may hold anything, the 16th and 17th field are those of ended children.
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return own + (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** The failure itself, without the runner's wrapping of it. */
function describe(error: unknown): string {
  const cause = error instanceof Error && 'failureType' in error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 6, breakLength: 120 });
}

function toReport(event: TestEvent): Report | null {
  if (event.type === 'test:enqueue') return event.data.nesting === 0 ? { kind: 'queued' } : null;
  if (event.type === 'test:diagnostic')
    return OWN_NOTES.test(event.data.message) ? null : { kind: 'note', text: event.data.message };
  if (event.type === 'test:summary') return { kind: 'end', ok: event.data.success, cpuMs: cpuMs() };
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return null;
  const { name, file, line, nesting, details, skip, todo } = event.data;
  const reason = skip ?? todo;
  return {
    kind: event.type === 'test:pass' ? 'passed' : 'failed',
    name,
    where: `${file ?? '?'}:${line ?? '?'}`,
    ms: details.duration_ms,
    top: nesting === 0,
    suite: details.type === 'suite',
    ...(reason === undefined ? {} : { skip: typeof reason === 'string' ? reason : 'no reason given' }),
    ...(event.type === 'test:fail' ? { error: describe(event.data.details.error) } : {}),
  };
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const line = toReport(event);
    if (line !== null) yield `${MARK}${JSON.stringify(line)}\n`;
  }
}
