import type { Delta, Pending, TaskOutcome } from '../core/api/runtime.ts';
import { spokenStream, type SpokenStream } from '../core/api/streamed-text.ts';
import { asked, pendingTexts } from './approvals.ts';
import { oneLine, plain, type Io } from './io.ts';
import type { Options } from './options.ts';
import { callOf } from './progress.ts';

export interface ChatScreen {
  begin(): void;
  delta(delta: Delta): void;
  end(outcome: TaskOutcome): void;
  waits(waits: readonly Pending[]): void;
  note(text: string): void;
}

/** Names what a verdict would be about, on one line. */
export const asksFor = (wait: Pending): string => {
  const call = oneLine(wait.text, 60);
  const what = asked(wait);
  return `Approve ${call.startsWith(what) ? call : `${what} ${call}`}?`;
};

/** Prints a run as it works: the text as it comes, tool calls and their results on lines of their own. */
export function chatScreen(
  io: Pick<Io, 'clock' | 'out' | 'outIsTerminal' | 'env' | 'self'>,
  options: Pick<Options, 'again'>,
): ChatScreen {
  const pendingText = pendingTexts(io, options);
  const colours = io.outIsTerminal && !io.env['NO_COLOR'];
  const dim = (text: string): string => (colours ? `\x1b[2m${text}\x1b[22m` : text);
  let spoken: SpokenStream = spokenStream();
  let midLine = false;
  const say = (text: string): void => {
    if (text === '') return;
    io.out(plain(text));
    midLine = !text.endsWith('\n');
  };
  const endLine = (): void => {
    if (midLine) io.out('\n');
    midLine = false;
  };
  const line = (text: string): void => {
    endLine();
    io.out(`${text}\n`);
  };
  const waits = (open: readonly Pending[]): void => {
    for (const wait of open) line(pendingText(wait));
    const [first] = open;
    if (first) line(dim(first.kind === 'question' ? 'Your next line is the answer.' : `${asksFor(first)} yes or no`));
  };
  return {
    begin() {
      spoken = spokenStream();
    },
    delta(delta) {
      if (delta.kind === 'tool.started') line(dim(`  ⚙ ${callOf(delta.tool, delta.args)}`));
      else if (delta.kind === 'tool.returned')
        line(dim(`  ${delta.ok ? '✓' : '✗'} ${delta.tool}: ${oneLine(delta.text, 70)}`));
      else if (delta.kind === 'retrying') line(dim(`  … ${oneLine(delta.text, 300)}`));
      else say(spoken.push(delta));
    },
    end(outcome) {
      if (outcome.waits.length > 0) waits(outcome.waits);
      else if (outcome.status === 'done') {
        say(spoken.rest(outcome.text));
        endLine();
        if (outcome.commit !== null) line(dim(`  committed ${outcome.commit.slice(0, 10)}`));
      } else line(`${outcome.status}: ${plain(outcome.text)}`);
      spoken = spokenStream();
    },
    waits,
    note: (text) => line(plain(text)),
  };
}
