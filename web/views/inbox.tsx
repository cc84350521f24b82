import type { ComponentChildren, JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { FailureView } from '../../src/core/api/views.ts';
import { href } from '../lib/route.ts';
import { Icon } from '../parts/icons.tsx';
import { useAct } from '../parts/act.tsx';
import { Approval, isMatter, Matter, Question, Who } from '../parts/pending.tsx';
import { StandingList } from '../parts/standing.tsx';
import { Await, Button, Empty, Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';

/** All that waits for a person, in one place. */
export function InboxView(): JSX.Element {
  const { inbox } = useApp();
  useEffect(() => void inbox.refresh(), []);
  return (
    <div class="page">
      <h1>Inbox</h1>
      <Await of={inbox.state} what="what waits for you" retry={() => void inbox.refresh()}>
        {({ pending, failures }) =>
          pending.length + failures.length === 0 ? (
            <Empty title="Nothing waits for you.">
              <p class="quiet">Approvals, questions, open items and failures appear here.</p>
            </Empty>
          ) : (
            <>
              <Group title="Approvals" list={pending.filter((each) => each.kind === 'approval')}>
                {(each) => <Approval of={each} />}
              </Group>
              <Group title="Questions" list={pending.filter((each) => each.kind === 'question' && !isMatter(each))}>
                {(each) => <Question of={each} />}
              </Group>
              <Group title="Open items" list={pending.filter(isMatter)}>
                {(each) => <Matter of={each} />}
              </Group>
              <Group title="Failures" list={failures.map((each) => ({ ...each, id: each.task }))}>
                {(each) => <Failure of={each} />}
              </Group>
            </>
          )
        }
      </Await>
      <StandingList />
    </div>
  );
}

function Group<T extends { id: string }>(props: {
  title: string;
  list: readonly T[];
  children: (each: T) => ComponentChildren;
}): JSX.Element | null {
  if (props.list.length === 0) return null;
  return (
    <section class="group">
      <h2 class="section-title">
        {props.title} <span class="quiet">{props.list.length}</span>
      </h2>
      <ul class="cards">
        {props.list.map((each) => (
          <li key={each.id} class="card">
            {props.children(each)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Failure({ of }: { of: FailureView }): JSX.Element {
  const { api } = useApp();
  const { act, trouble } = useAct();
  return (
    <article aria-label="Failure">
      <Who of={of} />
      <p class="bad">
        <Plain text={of.why} />
      </p>
      {trouble}
      <div class="row">
        {of.canRetry && (
          <Button kind="primary" onClick={() => act(() => api.retry(of.task), 'Retrying')}>
            <Icon of="retry" /> Retry
          </Button>
        )}
        <Button onClick={() => act(() => api.dismiss(of.task), 'Dismissed')} title="Removes it from this list">
          Dismiss
        </Button>
        <a href={href({ name: 'item', task: of.task })}>What happened</a>
      </div>
    </article>
  );
}
