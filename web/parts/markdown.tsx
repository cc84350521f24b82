import type { ComponentChildren, JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { readMarkdown } from '../../src/core/text/markdown/read.ts';
import type { Block, Inline } from '../../src/core/text/markdown/tree.ts';
import { target } from '../lib/links.ts';
import { CopyButton, Plain } from './small.tsx';

/** Characters of a text that become elements: a browser takes seconds to lay out many more. */
const MOST = 200_000;

/** A text of a model: Markdown becomes elements, never HTML, and nothing in it loads or runs anything. */
export const Markdown = ({ text }: { text: string }): JSX.Element =>
  useMemo(() => <div class="prose">{text.length > MOST ? asIs(text) : readMarkdown(text).map(block)}</div>, [text]);

const asIs = (text: string): JSX.Element => (
  <pre class="as-is">
    <Plain text={text} />
  </pre>
);

function block(of: Block): JSX.Element {
  switch (of.kind) {
    case 'paragraph':
    case 'definitions':
      return <p>{of.of.map(inline)}</p>;
    case 'heading':
      return heading(of.depth, of.of.map(inline));
    case 'code':
      return <Code text={of.text} language={of.language} />;
    case 'quote':
      return <blockquote>{of.of.map(block)}</blockquote>;
    case 'list':
      return list(of);
    case 'table':
      return table(of);
    case 'rule':
      return <hr />;
  }
}

/** One level below the headings of the page at least, so that its outline stays whole. */
function heading(depth: number, children: ComponentChildren): JSX.Element {
  const Level = (['h3', 'h4'] as const)[depth - 1] ?? 'h5';
  return <Level>{children}</Level>;
}

function list({ start, items }: Extract<Block, { kind: 'list' }>): JSX.Element {
  const rows = items.map(({ task, of }) => (
    <li class={task === null ? undefined : 'task'}>
      {task !== null && <input type="checkbox" checked={task} disabled aria-label={task ? 'done' : 'open'} />}
      {of.map((each, at) => (each.kind === 'paragraph' && at === 0 ? <span>{each.of.map(inline)}</span> : block(each)))}
    </li>
  ));
  return start === null ? <ul>{rows}</ul> : <ol start={start}>{rows}</ol>;
}

const table = ({ header, align, rows }: Extract<Block, { kind: 'table' }>): JSX.Element => (
  <div class="wide" tabIndex={0} role="region" aria-label="Table">
    <table>
      <thead>
        <tr>
          {header.map((cell, index) => (
            <th scope="col" class={align[index] ?? undefined}>
              {cell.map(inline)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr>
            {row.map((cell, index) => (
              <td class={align[index] ?? undefined}>{cell.map(inline)}</td>
            ))}
            {row.length < header.length && <td colSpan={header.length - row.length} />}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);

export const Code = ({ text, language = '' }: { text: string; language?: string }): JSX.Element => (
  <div class="code">
    <div class="code-head">
      <span>
        <Plain text={language} />
      </span>
      <CopyButton text={text} what="this code" />
    </div>
    <pre tabIndex={0}>
      <code>
        <Plain text={text} />
      </code>
    </pre>
  </div>
);

function inline(of: Inline): ComponentChildren {
  switch (of.kind) {
    case 'text':
      return <Plain text={of.text} />;
    case 'code':
      return (
        <code>
          <Plain text={of.text} />
        </code>
      );
    case 'break':
      return <br />;
    case 'strong':
    case 'em':
    case 'del': {
      const Mark = of.kind;
      return <Mark>{of.of.map(inline)}</Mark>;
    }
    case 'link':
      return link(of.href, of.text, of.of.map(inline));
    case 'image':
      // Loading it would tell its server that this was read, and when.
      return link(of.href, '', <>Image: {of.text === '' ? 'unnamed' : <Plain text={of.text} />}</>);
  }
}

function link(href: string, text: string, children: ComponentChildren): JSX.Element {
  const to = target(href, text);
  if (to === null)
    return (
      <>
        {children} <code class="address">{<Plain text={href} />}</code>
      </>
    );
  return (
    <>
      <a href={to.href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
      {to.shown !== '' && <span class="address"> ({<Plain text={to.shown} />})</span>}
    </>
  );
}
