import type { JSX } from 'preact';
import { Plain } from './small.tsx';

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** Characters of a text that stand in its line; a longer one, or one of several lines, gets a box of its own. */
const LINE = 100;
/** Levels that are open at first; the tools of a request are long, and the same each time. */
const OPEN = 6;
const FOLDED = 'tools';

/** JSON as a person reads it: long texts with their lines, what is deep folded away. */
export function JsonView({ value, depth = 0 }: { value: unknown; depth?: number }): JSX.Element {
  const json = value as Json;
  if (typeof json === 'string')
    return json.length > LINE || json.includes('\n') ? (
      <pre class="json-text" tabIndex={0}>
        <Plain text={json} />
      </pre>
    ) : (
      <span class="json-string">
        <Plain text={json === '' ? '(empty)' : json} />
      </span>
    );
  if (json === null || typeof json !== 'object') return <span class="json-word">{String(json)}</span>;
  const entries = Object.entries(json);
  if (entries.length === 0) return <span class="json-word">{Array.isArray(json) ? 'none' : 'nothing'}</span>;
  return (
    <ul class="json">
      {entries.map(([name, of]) => (
        <li>
          <Entry name={Array.isArray(json) ? String(Number(name) + 1) : name} of={of} depth={depth} />
        </li>
      ))}
    </ul>
  );
}

function Entry({ name, of, depth }: { name: string; of: Json; depth: number }): JSX.Element {
  const key = (
    <span class="json-key">
      <Plain text={name} />
    </span>
  );
  if (of === null || typeof of !== 'object' || Object.keys(of).length === 0)
    return (
      <>
        {key} <JsonView value={of} />
      </>
    );
  return (
    <details open={depth < OPEN && name !== FOLDED}>
      <summary>{key}</summary>
      <JsonView value={of} depth={depth + 1} />
    </details>
  );
}

/** The arguments of a call: as a list of names and values where they can be read so, else exactly as written. */
export function Arguments({ text }: { text: string }): JSX.Element {
  const value = parsed(text);
  if (value === undefined || value === null || typeof value !== 'object')
    return (
      <pre class="as-is">
        <Plain text={text} />
      </pre>
    );
  return <JsonView value={value} />;
}

/** Undefined for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // shown as it was written
  }
}
