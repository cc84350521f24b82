import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { exactPath } from '../lib/api.ts';
import { bytes } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { Icon } from '../parts/icons.tsx';
import { JsonView, parsed } from '../parts/json.tsx';
import { Await, CopyButton, Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';
import { resource } from '../stores/resource.ts';

/** Characters that are drawn at once. */
const MOST = 400_000;

/** What was sent or received, as it was recorded. */
export function ExactView({ task, hash }: { task: string; hash: string }): JSX.Element {
  const { api } = useApp();
  const text = useMemo(() => resource(() => api.exact(task, hash)), [task, hash]);
  useEffect(() => void text.refresh(), [text]);
  return (
    <div class="page wide-page">
      <p class="crumbs">
        <a href={href({ name: 'item', task })}>
          <Icon of="back" /> The task
        </a>
      </p>
      <h1>Exact record</h1>
      <Await of={text.state} what="the record" retry={() => void text.refresh()}>
        {(value) => <Exact text={value} path={exactPath(task, hash)} />}
      </Await>
    </div>
  );
}

function Exact({ text, path }: { text: string; path: string }): JSX.Element {
  const value = useMemo(() => (text.length > MOST ? undefined : parsed(text)), [text]);
  const raw = useSignal(value === undefined);
  const shown = text.length > MOST ? `${text.slice(0, MOST)}…` : text;
  return (
    <>
      <div class="row exact-tools">
        {value !== undefined && (
          <div class="filters" role="group" aria-label="Form">
            <button type="button" class="filter" aria-pressed={!raw.value} onClick={() => (raw.value = false)}>
              Readable
            </button>
            <button type="button" class="filter" aria-pressed={raw.value} onClick={() => (raw.value = true)}>
              Raw
            </button>
          </div>
        )}
        <CopyButton text={text} what="all of it" />
        <a href={path} download="record.json">
          Save ({bytes(text.length)})
        </a>
      </div>
      {raw.value ? (
        <pre class="block exact" tabIndex={0}>
          <Plain text={shown} />
        </pre>
      ) : (
        <JsonView value={value} />
      )}
      {text.length > MOST && <p class="note">This is only the beginning. Save it to see all of it.</p>}
    </>
  );
}
