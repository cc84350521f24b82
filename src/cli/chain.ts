import { visibleLine } from '../core/text/untrusted.ts';
import type { ChainNode, ChainView } from '../core/api/views.ts';
import { oneLine, plain } from './io.ts';

/** What led to a task and what it has led to, as an indented tree; the task itself is marked. */
export const chainText = ({ task, nodes }: ChainView): string =>
  nodes
    .map((node) => {
      const mark = node.kind === 'task' && node.task === task ? '>' : ' ';
      return `${mark} ${'  '.repeat(node.depth)}${nodeText(node, mark === '>')}`;
    })
    .join('\n');

/** The answer of the one that is asked about stands above. */
function nodeText(node: ChainNode, here: boolean): string {
  switch (node.kind) {
    case 'cause':
      return causeText(node);
    case 'task': {
      const { task, status, agent, title, commit, result } = node;
      const landed = commit === null ? '' : `  [${commit.slice(0, 10)}]`;
      const said = result === '' || here ? '' : `  = ${oneLine(result, 60)}`;
      return `${task}  ${status}  ${plain(agent)}: ${oneLine(title, 80)}${landed}${said}`;
    }
    case 'link':
      return linkText(node);
    case 'matter':
      return `question to the owner${node.settled ? ', closed' : ''}: ${oneLine(node.title, 100)}`;
    case 'more':
      return `and ${node.left} more`;
  }
}

const quoted = (title: string): string => (title === '' ? '' : `: ${oneLine(title, 80)}`);

function causeText({ of, by, from, title }: Extract<ChainNode, { kind: 'cause' }>): string {
  if (of === 'message') return `message from ${visibleLine(from)} via ${visibleLine(by)}${quoted(title)}`;
  return of === 'other' ? `from ${visibleLine(by)}` : `${of} ${visibleLine(by)}${quoted(title)}`;
}

const LINKS = {
  joined: 'joins',
  taken: 'joins the run of',
  repeats: 'retried as',
  moved: 'handed the conversation to',
} as const;

function linkText({ of, task, agent, title }: Extract<ChainNode, { kind: 'link' }>): string {
  return `${LINKS[of]} ${plain(agent)}${task === null ? '' : ` ${task}`}${quoted(title)}`;
}
