import { relative, isAbsolute } from 'node:path';
import type { FileOrigin, FileSource } from '../core/api/views.ts';
import { plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { clockTime } from './time.ts';

/** `ruche show PATH`: where a file came from. */
export async function show(io: Io, options: Options, what: string, { json }: { json?: boolean }): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const asked = isAbsolute(what) ? relative(options.workspace, what) : what;
  const origin = await gateway.call<FileOrigin>(`/api/show?what=${encodeURIComponent(asked)}`);
  io.out(json ? `${JSON.stringify(origin)}\n` : `${plain(textOf(origin))}\n`);
  return 0;
}

function textOf({ path, oid, labels, privatePath, sources, vouched, cleared }: FileOrigin): string {
  const lines = [
    `${path}  ${labels.length === 0 ? 'no labels' : labels.join(', ')}${oid === null ? ' (not on main now)' : ''}`,
  ];
  if (privatePath) lines.push('private: memory, or a path that "private" in ruche.yaml names');
  for (const source of sources) lines.push(...sourceLines(path, source));
  if (vouched !== null) {
    const { id, by, at, note } = vouched;
    lines.push(
      `${by} vouches for this content (${id}, ${clockTime(at)}), so it is not untrusted${note === '' ? '' : `: ${note}`}`,
    );
  }
  if (cleared !== null)
    lines.push(
      `${cleared.author} cleared the labels of a run's text with commit ${cleared.commit.slice(0, 10)}, ${clockTime(cleared.at)}`,
    );
  return lines.join('\n');
}

function sourceLines(path: string, source: FileSource): string[] {
  const { labels, by, run, task, at, causes, approvedBy } = source;
  const where = source.path === path ? '' : `, as ${source.path}`;
  const who = run === null ? by : `${by} in ${run} (${task ?? 'unknown task'}), ${at === null ? '' : clockTime(at)}`;
  if (labels.length === 0)
    return [`Written by ${who}${where}; ${approvedBy ?? by} read and approved it, which cleared its labels`];
  return [
    `Written by ${who}${where}`,
    ...causes.map((cause) => `  ${cause.labels.join(', ')}: ${cause.what}, ${cause.event}`),
  ];
}
