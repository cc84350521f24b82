import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { RunView } from '../../src/core/api/views.ts';
import { href } from '../lib/route.ts';
import { useAct } from '../parts/act.tsx';
import { Chain } from '../parts/chain.tsx';
import { Why } from '../parts/entry.tsx';
import { Icon } from '../parts/icons.tsx';
import { Markdown } from '../parts/markdown.tsx';
import { Ago, Await, Button, Empty, Plain } from '../parts/small.tsx';
import { Steps, useItem } from '../parts/steps.tsx';
import { useApp } from '../stores/app.ts';

/** One piece of work: what was asked, how it stands, each step, and what became of it. */
export function ItemView({ task }: { task: string }): JSX.Element {
  const item = useItem(task);
  const { heading, router } = useApp();
  const state = item.run.state.value;
  const title = state.kind === 'ready' ? state.value.title : '';
  useEffect(() => {
    heading.value = title;
    return () => void (heading.value = '');
  }, [title]);
  if (state.kind === 'failed' && state.status === 404)
    return (
      <div class="page">
        <h1 class="unseen">Not found</h1>
        <Empty title="This task does not exist.">
          <a href="/work">All work</a>
        </Empty>
      </div>
    );
  return (
    <div class="page">
      <p class="crumbs">
        <a href={router.list} data-back>
          <Icon of="back" /> Work
        </a>
      </p>
      <Await of={item.run.state} what="this task" retry={() => void item.run.refresh()}>
        {(run) => (
          <>
            <Head run={run} />
            <Request run={run} />
            {run.standing.state !== 'answered' && <Why of={run.standing} task={task} />}
            {run.reply !== null && (
              <section aria-label="Answer">
                <h2 class="section-title">Answer</h2>
                <Markdown text={run.reply} />
              </section>
            )}
          </>
        )}
      </Await>
      {state.kind !== 'failed' && <Chain key={task} task={task} />}
      {item.run.state.value.kind === 'ready' && <h2 class="section-title">Steps</h2>}
      {item.run.state.value.kind === 'ready' && <Steps item={item} task={task} />}
    </div>
  );
}

function Head({ run }: { run: RunView }): JSX.Element {
  const { api, names } = useApp();
  const { act, trouble } = useAct();
  const underWay = run.status === 'running' || run.status === 'queued';
  return (
    <header class="item-head">
      <div>
        <h1>
          <Plain text={run.title === '' ? 'Untitled' : run.title} />
        </h1>
        <p class="quiet">
          {run.agent}, asked by {names.value.sender(run.from)}
          {run.channel !== 'http' && run.channel !== '' && ` via ${names.value.channel(run.channel)}`},{' '}
          <Ago at={run.queuedAt} />
          {' · '}
          <a href={href({ name: 'chat', agent: run.agent, session: run.session, steps: null })}>Conversation</a>
        </p>
        {trouble}
      </div>
      {underWay && (
        <Button onClick={() => act(() => api.cancel(run.task), 'Stopped')}>
          <Icon of="stop" /> Stop
        </Button>
      )}
    </header>
  );
}

/** Not said twice where the title is all of it. */
const Request = ({ run }: { run: RunView }): JSX.Element | null =>
  run.request.trim() === run.title ? null : (
    <div class="bubble request">
      <p class="words">
        <Plain text={run.request} />
      </p>
    </div>
  );
