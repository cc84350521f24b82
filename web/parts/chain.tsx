import type { JSX } from 'preact';
import type { ChainNode, ChainView } from '../../src/core/api/views.ts';
import { money } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { useApp, useOpened } from '../stores/app.ts';
import { resource, valueOf, type Resource } from '../stores/resource.ts';
import { Ago, Await, Plain, State } from './small.tsx';

/** Indented as deep as this; what is deeper stays there, so that a narrow screen can show it. */
const DEEPEST = 9;

/** What led to a piece of work and what has come of it, from the message or firing at its root. */
export function Chain({ task }: { task: string }): JSX.Element {
  const { api, live } = useApp();
  const { chain } = useOpened(task, () => {
    const opened: Resource<ChainView> = resource(() => api.chain(task), 1_000);
    const close = live.onChange((changed) => {
      const nodes = valueOf(opened.state.value)?.nodes;
      // While it is not known which tasks belong to it, each may.
      const isOf = (task: string): boolean =>
        !nodes || nodes.some((node) => node.kind === 'task' && node.task === task);
      if (changed === null || changed.task === null || isOf(changed.task)) opened.changed();
    });
    void opened.refresh();
    return { chain: opened, close };
  });
  return (
    <section aria-label="Chain of causes">
      <h2 class="section-title">What led to it, and what came of it</h2>
      <Await of={chain.state} what="its causes" retry={() => void chain.refresh()}>
        {({ nodes }) => (
          <ol class="chain">
            {nodes.map((node, index) => (
              <li
                key={node.kind === 'task' ? node.task : index}
                class={`link link-${node.kind}`}
                style={{ '--depth': Math.min(node.depth, DEEPEST) }}
                aria-current={node.kind === 'task' && node.task === task ? 'true' : undefined}
              >
                <span class="unseen">Level {node.depth + 1}: </span>
                <Line node={node} here={task} />
              </li>
            ))}
          </ol>
        )}
      </Await>
    </section>
  );
}

function Line({ node, here }: { node: ChainNode; here: string }): JSX.Element {
  switch (node.kind) {
    case 'cause':
      return <Cause node={node} />;
    case 'task':
      return <TaskLine node={node} here={node.task === here} />;
    case 'link':
      return <Link node={node} />;
    case 'matter':
      return (
        <span>
          <span class="quiet">For you to decide{node.settled ? ', settled' : ''}: </span>
          <Plain text={node.title} />
        </span>
      );
    case 'more':
      return <span class="quiet">and {node.left} more</span>;
  }
}

function TaskLine({ node, here }: { node: Extract<ChainNode, { kind: 'task' }>; here: boolean }): JSX.Element {
  const title = <Plain text={node.title === '' ? 'Untitled' : node.title} />;
  const facts = [node.commit === null ? '' : `commit ${node.commit.slice(0, 10)}`, money(node.costUsd, node.unpriced)];
  return (
    <>
      <b>{node.agent}</b> {here ? <span>{title}</span> : <a href={itemOf(node.task)}>{title}</a>}{' '}
      <span class="link-facts">
        <State of={node.standing} /> <Ago at={node.at} /> {facts.filter(Boolean).join(' · ')}
      </span>
      {node.result !== '' && !here && (
        <span class="link-result">
          <Plain text={node.result} />
        </span>
      )}
      {node.status === 'waiting' && !here && (
        <span class="link-result">
          <Plain text={node.standing.why} />
        </span>
      )}
    </>
  );
}

const itemOf = (task: string): string => href({ name: 'item', task });

function Cause({ node }: { node: Extract<ChainNode, { kind: 'cause' }> }): JSX.Element {
  const { names } = useApp();
  const { of, by, from, title } = node;
  const what =
    of === 'message'
      ? `Message from ${names.value.sender(from)}${by === 'http' ? '' : ` via ${names.value.channel(by)}`}`
      : of === 'other'
        ? `From ${names.value.sender(by)}`
        : `${WHAT[of]} ${by}`;
  return (
    <span>
      <span class="quiet">
        {what}
        {node.at > 0 && (
          <>
            , <Ago at={node.at} />
          </>
        )}
      </span>{' '}
      <Plain text={title} />
    </span>
  );
}

const WHAT = { schedule: 'Schedule', trigger: 'Trigger', escalation: 'Escalation', file: 'File' } as const;

const LINKS = {
  joined: 'Joined an existing task of',
  taken: 'Joined the run of',
  repeats: 'Retried by',
  moved: 'Handed the conversation to',
} as const;

function Link({ node: { of, task, agent, title } }: { node: Extract<ChainNode, { kind: 'link' }> }): JSX.Element {
  const shown = <Plain text={title === '' ? 'Untitled' : title} />;
  return (
    <span>
      <span class="quiet">{LINKS[of]}</span> <b>{agent}</b> {task === null ? shown : <a href={itemOf(task)}>{shown}</a>}
    </span>
  );
}
