import type { Delta } from '../core/api/runtime.ts';
import { oneLine, type Io } from './io.ts';

interface Progress {
  show(delta: Delta): void;
  clear(): void;
}

/** One line on stderr that says what the run does now, overwritten as it goes on. */
export function progressLine(io: Pick<Io, 'err'>): Progress {
  let text = '';
  const write = (line: string): void => io.err(`\r\x1b[2K${line}`);
  return {
    show(delta) {
      if (delta.kind === 'text') {
        if (delta.offset === 0) text = '';
        text = (text + delta.text).slice(-400);
        write(`… ${oneLine(text.slice(-70), 72)}`);
      } else if (delta.kind === 'tool.started') write(`⚙ ${callOf(delta.tool, delta.args)}`);
      else if (delta.kind === 'tool.returned') write(`${delta.ok ? '✓' : '✗'} ${delta.tool}`);
      else if (delta.kind === 'tool.output') write(`  ${oneLine(delta.text, 72)}`);
    },
    clear: () => write(''),
  };
}

/** A tool call on one line: its name and the argument that says most. */
export function callOf(tool: string, args: string): string {
  let shown = args;
  try {
    const parsed = JSON.parse(args) as Record<string, unknown>;
    const telling = ['command', 'path', 'url', 'pattern', 'question'].find((name) => typeof parsed[name] === 'string');
    if (telling !== undefined) shown = String(parsed[telling]);
    else if (Object.keys(parsed).length === 0) shown = '';
  } catch {
    // Arguments that do not parse are shown as the model wrote them.
  }
  return oneLine(`${tool} ${shown}`, 76);
}
