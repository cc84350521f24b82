import type { JSX } from 'preact';
import { useSignal, useSignalEffect } from '@preact/signals';
import type { Pending } from '../../src/core/api/runtime.ts';
import type { RunStep, RunView } from '../../src/core/api/views.ts';
import { href } from '../lib/route.ts';
import { LABELS, reasonWords } from '../lib/words.ts';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { useAct } from './act.tsx';
import { Behind, isRaise, Verdict } from './agree.tsx';
import { AnswerForm } from './answer-form.tsx';
import { Climb } from './climb.tsx';
import { Ago, Away, Plain } from './small.tsx';
import { gist } from './step.tsx';
import { useItem } from './steps.tsx';

type Asker = Pick<Pending, 'agent' | 'session' | 'at'> & { kind?: string; title?: string };

export function Who({ of }: { of: Asker }): JSX.Element {
  const { conversations } = useApp();
  const known = valueOf(conversations.state.value)?.find(
    (each) => each.agent === of.agent && each.session === of.session,
  );
  const title = of.title ?? known?.title ?? '';
  return (
    <p class="card-who">
      {of.agent === null ? of.kind === 'question' ? 'Ruche' : 'From outside' : <b>{of.agent}</b>}
      {of.agent !== null && of.session !== null && (
        <a href={href({ name: 'chat', agent: of.agent, session: of.session, steps: null })}>
          <Plain text={title === '' ? 'the conversation' : title} />
        </a>
      )}
      <Ago at={of.at} />
    </p>
  );
}

/** What an approval changes that is not of a call; null for a call. */
function changedFiles({ tool, changes }: Pending): string | null {
  if (changes === 'settings') return 'the settings';
  return tool === null || tool === 'landing' ? 'protected files' : null;
}

const wants = (of: Pending, changed: string | null): string => {
  if (isRaise(of)) return 'needs a larger budget:';
  return changed === null ? `wants to use ${of.tool}:` : `wants to change ${changed}`;
};

/** `within`: the conversation it belongs to is around it already. */
export function Approval({ of, within = false }: { of: Pending; within?: boolean }): JSX.Element {
  const changed = changedFiles(of);
  return (
    <article aria-label={`Approval: ${changed === null ? of.tool : `a change of ${changed}`}`}>
      {!within && <Who of={of} />}
      <p class="card-title">
        {within && `${of.agent} `}
        {wants(of, changed)}
      </p>
      <pre class="block call" tabIndex={0}>
        <Plain text={of.text} />
      </pre>
      <p>
        <span class="quiet">Why you are asked: </span>
        <Plain text={reasonWords(of.reason)} />
      </p>
      {of.task !== null && !isRaise(of) && <Sources task={of.task} />}
      <Behind of={of} />
      <Climb about={of.id} />
      {of.expires !== undefined && (
        <p class="quiet">
          Denied <Away at={of.expires} /> if nobody answers.
        </p>
      )}
      <Verdict of={of} />
      {of.task !== null && <a href={href({ name: 'item', task: of.task })}>What led to it</a>}
    </article>
  );
}

/** The owner is asked, and no run waits for the answer. */
export const isMatter = (of: Pending): boolean => of.kind === 'question' && of.run === null;

export function Matter({ of, within = false }: { of: Pending; within?: boolean }): JSX.Element {
  const { api } = useApp();
  const { act, trouble } = useAct();
  const words = useSignal('');
  return (
    <article aria-label="Open item">
      {!within && <Who of={of} />}
      <p class="words">
        <Plain text={of.text} />
      </p>
      <p class="quiet">
        <Plain text={of.reason} />
      </p>
      <Climb about={of.id} />
      {trouble}
      <AnswerForm
        label="What you did about it"
        placeholder="What you did about it (optional)"
        text={words}
        submit="Mark as done"
        send={() => act(() => api.answer(of.id, words.value.trim() || 'Done.'), 'Done')}
      />
      {!within && of.task !== null && <a href={href({ name: 'item', task: of.task })}>What led to it</a>}
    </article>
  );
}

/** What says no more than that it is a question. */
const ASKS = /^$|asks\.$/;

/** What the agent had read before it asked: its author may be behind the call. */
function Sources({ task }: { task: string }): JSX.Element | null {
  const run = valueOf(useItem(task).run.state.value);
  if (run === null) return <p class="quiet">Checking where its data came from…</p>;
  const read = labelled(run);
  if (read.length === 0)
    return <p class="quiet">In this task it has read nothing from outside and nothing private so far.</p>;
  return (
    <div class="note sources">
      <p>In this task it has read:</p>
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

export function Question({ of, within = false }: { of: Pending; within?: boolean }): JSX.Element {
  const { api, tab } = useApp();
  const { act, trouble } = useAct();
  const keep = `answer:${of.id}`;
  const text = useSignal(tab.read(keep) ?? '');
  useSignalEffect(() => tab.write(keep, text.value === '' ? null : text.value));
  const answer = (): Promise<boolean> =>
    act(async () => {
      await api.answer(of.id, text.value);
      text.value = '';
    }, 'Answered');
  return (
    <article aria-label="Question">
      {!within && <Who of={of} />}
      <p class="words">
        <Plain text={of.text} />
      </p>
      {!ASKS.test(of.reason) && (
        <p class="quiet">
          <Plain text={of.reason} />
        </p>
      )}
      <Climb about={of.id} />
      {trouble}
      <AnswerForm label="Your answer" placeholder="Your answer" text={text} submit="Answer" send={answer} needed />
    </article>
  );
}
