import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { useSignal, type ReadonlySignal } from '@preact/signals';
import type { Draft, DraftPart } from '../stores/draft.ts';
import { Markdown } from './markdown.tsx';
import { Plain } from './small.tsx';
import { gist } from './step.tsx';

/** An answer while it is written. */
export function DraftEntry({ draft, agent }: { draft: ReadonlySignal<Draft>; agent: string }): JSX.Element {
  const shown = usePaced(draft).value;
  const { parts, thinking, notice } = shown;
  const nothing = parts.length === 0 && thinking === '' && notice === '';
  return (
    <article class="entry answer writing" aria-label={`${agent} is answering`} aria-busy="true">
      {parts.map((part) =>
        part.kind === 'tool' ? (
          <ToolLine part={part} />
        ) : (
          <>
            {part.from > 0 && (
              <p class="note">The beginning is missing here; the full answer appears when it is finished.</p>
            )}
            <Markdown text={part.text} />
          </>
        ),
      )}
      {thinking !== '' && (
        <p class="thinking">
          <Plain text={thinking} />
        </p>
      )}
      {notice !== '' && (
        <p class="note" role="status">
          <Plain text={notice} />
        </p>
      )}
      <p class="pulse" role="status">
        <span class="cells" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        {nothing ? `${agent} is working` : ''}
      </p>
    </article>
  );
}

function ToolLine({ part }: { part: DraftPart & { kind: 'tool' } }): JSX.Element {
  const mark = part.ok === null ? 'work' : part.ok ? 'ok' : 'bad';
  return (
    <div class="tool-line">
      <span class={`step-mark mark-${mark}`} aria-hidden="true" />
      <b>{part.tool}</b>{' '}
      <code>
        <Plain text={gist(part.args)} />
      </code>
      {part.output !== '' && part.ok === null && (
        <pre class="block" tabIndex={0}>
          <Plain text={part.output} />
        </pre>
      )}
    </div>
  );
}

/** At most once a frame, and less often when drawing is slow: a fast model must not hold up the page. */
function usePaced<T>(source: ReadonlySignal<T>): ReadonlySignal<T> {
  const shown = useSignal(source.peek());
  useEffect(() => {
    let waiting = false;
    let cost = 0;
    const draw = (): void => {
      waiting = false;
      const began = performance.now();
      shown.value = source.peek();
      requestAnimationFrame(() => (cost = performance.now() - began));
    };
    return source.subscribe(() => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => requestAnimationFrame(draw), Math.min(500, cost > 20 ? cost * 3 : 0));
    });
  }, [source]);
  return shown;
}
