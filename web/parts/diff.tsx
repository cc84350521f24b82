import type { JSX } from 'preact';
import { LABELS } from '../lib/words.ts';
import type { DiffView } from '../../src/core/api/views.ts';
import { plural } from '../lib/format.ts';
import { Plain } from './small.tsx';

const CHANGES = { added: 'new', changed: 'changed', removed: 'deleted' } as const;

/** What a piece of work changed in the workspace. */
export const Diff = ({ of }: { of: DiffView }): JSX.Element => (
  <section class="diff" aria-label="What changed">
    <p class="quiet">
      {plural(of.files.length, 'file')} changed, in commit <code>{of.commit.slice(0, 10)}</code>
    </p>
    {of.files.map((file) => (
      <details open={of.files.length <= 5}>
        <summary>
          <span class={`change change-${file.change}`}>{CHANGES[file.change]}</span>{' '}
          <span class="path">
            <Plain text={file.path} />
          </span>
          {(of.labels[file.path] ?? []).map((label) => (
            <span class="quiet"> · {LABELS[label]}</span>
          ))}
        </summary>
        {file.binary ? <p class="quiet">Not a text.</p> : <Patch text={file.patch} />}
      </details>
    ))}
    {of.cut && <p class="note">The rest is too long to show here. The commit has all of it.</p>}
  </section>
);

const KINDS: Readonly<Record<string, string>> = { '+': 'plus', '-': 'minus', '@': 'hunk' };

/** Git's own lines; what stands before the first hunk repeats the name of the file. */
function Patch({ text }: { text: string }): JSX.Element {
  const lines = text.replace(/\n$/, '').split('\n');
  const from = Math.max(
    0,
    lines.findIndex((line) => line.startsWith('@@')),
  );
  return (
    <pre class="patch" tabIndex={0}>
      {lines.slice(from).map((line) => (
        <span class={`line ${KINDS[line[0] ?? ''] ?? ''}`}>
          <Plain text={line} />
          {'\n'}
        </span>
      ))}
    </pre>
  );
}
