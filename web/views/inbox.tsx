import type { ComponentChildren, JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { Ago, Await, Button, Empty, Plain } from '../parts/small.tsx';
import { useSignal } from '@preact/signals';
import type { Pending } from '../../src/core/runtime.ts';
import type { FailureView, RunStep, RunView } from '../../src/core/views.ts';
import { messageOf } from '../lib/api.ts';
import { href } from '../lib/router.ts';
import { LABELS } from '../lib/words.ts';
import { Icon } from '../parts/icons.tsx';
import { gist } from '../parts/step.tsx';
import { useItem } from '../parts/steps.tsx';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';

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
              <p class="quiet">Approvals, questions and failures come here.</p>
            </Empty>
          ) : (
            <>
              <Group title="Approvals" list={pending.filter((each) => each.kind === 'approval')}>
                {(each) => <Approval of={each} />}
              </Group>
              <Group title="Questions" list={pending.filter((each) => each.kind === 'question')}>
                {(each) => <Question of={each} />}
              </Group>
              <Group title="Failures" list={failures.map((each) => ({ ...each, id: each.task }))}>
                {(each) => <Failure of={each} />}
              </Group>
            </>
          )
        }
      </Await>
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

/** Does something with the gateway; says what went wrong beside the button, and brings the inbox up to date. */
function useAct(): { act: (what: () => Promise<unknown>, said: string) => Promise<void>; trouble: JSX.Element | null } {
  const { inbox, spoken } = useApp();
  const trouble = useSignal('');
  return {
    async act(what, said) {
      try {
        await what();
        trouble.value = '';
        spoken.value = said;
      } catch (error) {
        trouble.value = messageOf(error);
      }
      await inbox.refresh();
    },
    trouble:
      trouble.value === '' ? null : (
        <p class="bad" role="alert">
          <Plain text={trouble.value} />
        </p>
      ),
  };
}

function Who({ of }: { of: Pick<Pending, 'agent' | 'session' | 'at'> & { title?: string } }): JSX.Element {
  const { conversations } = useApp();
  const known = valueOf(conversations.state.value)?.find(
    (each) => each.agent === of.agent && each.session === of.session,
  );
  const title = of.title ?? known?.title ?? '';
  return (
    <p class="card-who">
      {of.agent === null ? 'From outside' : <b>{of.agent}</b>}
      {of.agent !== null && of.session !== null && (
        <a href={href({ name: 'chat', agent: of.agent, session: of.session, steps: null })}>
          <Plain text={title === '' ? 'the conversation' : title} />
        </a>
      )}
      <Ago at={of.at} />
    </p>
  );
}

function Approval({ of }: { of: Pending }): JSX.Element {
  const { api } = useApp();
  const { act, trouble } = useAct();
  return (
    <article aria-label={`Approval: ${of.tool ?? 'a change of the settings'}`}>
      <Who of={of} />
      <p class="card-title">
        {of.tool === null ? 'wants to change what governs the network' : `wants to use ${of.tool}:`}
      </p>
      <pre class="block call" tabIndex={0}>
        <Plain text={of.text} />
      </pre>
      <p>
        <span class="quiet">Why you are asked: </span>
        <Plain text={of.reason} />
      </p>
      {of.task !== null && <Sources task={of.task} />}
      {trouble}
      <div class="row">
        <Button kind="primary" onClick={() => act(() => api.approve(of.id, 'approve'), 'Approved')}>
          Approve exactly this
        </Button>
        <Button kind="danger" onClick={() => act(() => api.approve(of.id, 'deny'), 'Denied')}>
          Deny
        </Button>
        {of.task !== null && <a href={href({ name: 'item', task: of.task })}>What led to it</a>}
      </div>
    </article>
  );
}

/** What the agent had read before it asked: whoever wrote that may be behind the call. */
function Sources({ task }: { task: string }): JSX.Element | null {
  const run = valueOf(useItem(task).run.state.value);
  if (run === null) return <p class="quiet">Looking up where its data came from…</p>;
  const read = labelled(run);
  if (read.length === 0) return <p class="quiet">Before this it read nothing from outside, and nothing private.</p>;
  return (
    <div class="note sources">
      <p>Before this it read:</p>
      <ul>
        {read.map((step) => (
          <li>
            <b>{step.tool}</b>{' '}
            <code>
              <Plain text={gist(step.args)} />
            </code>{' '}
            {step.labels.map((label) => LABELS[label]).join('; ')}
          </li>
        ))}
      </ul>
    </div>
  );
}

const labelled = (run: RunView): Extract<RunStep, { kind: 'call' }>[] =>
  run.list.filter((step) => step.kind === 'call').filter((step) => step.labels.length > 0);

function Question({ of }: { of: Pending }): JSX.Element {
  const { api, tab } = useApp();
  const { act, trouble } = useAct();
  const keep = `answer:${of.id}`;
  const text = useSignal(tab.read(keep) ?? '');
  const type = (value: string): void => {
    text.value = value;
    tab.write(keep, value === '' ? null : value);
  };
  const answer = async (): Promise<void> => {
    await act(async () => {
      await api.answer(of.id, text.value);
      type('');
    }, 'Answered');
  };
  return (
    <article aria-label="Question">
      <Who of={of} />
      <p class="words">
        <Plain text={of.text} />
      </p>
      {of.reason !== '' && (
        <p class="quiet">
          <Plain text={of.reason} />
        </p>
      )}
      {trouble}
      <form
        class="answer-form"
        onSubmit={(event) => {
          event.preventDefault();
          void answer();
        }}
      >
        <input
          aria-label="Your answer"
          placeholder="Your answer"
          value={text.value}
          onInput={(event) => type(event.currentTarget.value)}
        />
        <button type="submit" class="button primary" disabled={text.value.trim() === ''}>
          Answer
        </button>
      </form>
    </article>
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
          <Button kind="primary" onClick={() => act(() => api.retry(of.task), 'It is tried again')}>
            <Icon of="retry" /> Try again
          </Button>
        )}
        <Button onClick={() => act(() => api.dismiss(of.task), 'Put aside')} title="Takes it off this list">
          Put aside
        </Button>
        <a href={href({ name: 'item', task: of.task })}>What happened</a>
      </div>
    </article>
  );
}
