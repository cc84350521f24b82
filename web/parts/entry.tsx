import type { JSX } from 'preact';
import { useComputed, useSignal } from '@preact/signals';
import type { FileView, Standing } from '../../src/core/api/views.ts';
import { brief, bytes, money, plural, timeOfDay } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import type { Outgoing } from '../stores/outgoing.ts';
import type { Message, Reply } from '../stores/talk.ts';
import { useAct } from './act.tsx';
import { Icon } from './icons.tsx';
import { Markdown } from './markdown.tsx';
import { Approval, isMatter, Matter, Question } from './pending.tsx';
import { Ago, Button, CopyButton, Plain, State } from './small.tsx';

export function MessageEntry({ entry, steps, open }: { entry: Message; steps: string; open: boolean }): JSX.Element {
  const { names } = useApp();
  return (
    <article class="entry said" aria-label={`Message from ${names.value.sender(entry.from)}`}>
      {entry.answers !== null && (
        <p class="about">
          Answers “<Plain text={brief(entry.answers)} />”
        </p>
      )}
      {entry.repeats !== null && <p class="about">Retried</p>}
      <div class="bubble">
        <Words text={entry.text} />
        <Files files={entry.files} />
      </div>
      <footer class="entry-foot">
        {entry.from !== 'owner' && <span>{names.value.sender(entry.from)}</span>}
        {entry.channel !== 'http' && <span>{names.value.channel(entry.channel)}</span>}
        <Ago at={entry.at} />
      </footer>
      {entry.standing.state !== 'answered' && (
        <>
          <Why of={entry.standing} task={entry.task} />
          <a class="steps-link" href={steps} aria-current={open ? 'true' : undefined}>
            Steps
          </a>
        </>
      )}
    </article>
  );
}

/** What is shown of a long message of a person's own: a paste must not bury the conversation. */
const SHORT = { characters: 4_000, lines: 60 };
const BEGINNING = { characters: 1_000, lines: 15 };

/** Words of a person. Of a long paste the beginning, until all of it is asked for. */
function Words({ text }: { text: string }): JSX.Element | null {
  const all = useSignal(false);
  if (text === '') return null;
  const lines = text.split('\n');
  const long = text.length > SHORT.characters || lines.length > SHORT.lines;
  const beginning = lines.slice(0, BEGINNING.lines).join('\n').slice(0, BEGINNING.characters).toWellFormed();
  return (
    <>
      <p class="words">
        <Plain text={long && !all.value ? `${beginning}…` : text} />
      </p>
      {long && (
        <button
          type="button"
          class="button bare"
          aria-expanded={all.value}
          onClick={() => {
            all.value = !all.value;
          }}
        >
          {all.value ? 'Show less' : `Show all (${plural(lines.length, 'line')}, ${plural(text.length, 'character')})`}
        </button>
      )}
    </>
  );
}

/** Why a message has no answer (yet), and what can be done: one click. */
export function Why({ of, task }: { of: Standing; task: string }): JSX.Element {
  const { api, inbox } = useApp();
  const { act, trouble } = useAct();
  const asked = (valueOf(inbox.state.value)?.pending ?? []).filter((each) => each.task === task);
  const needsPerson = of.can.includes('approve') || of.can.includes('answer');
  return (
    <details class={`why why-${of.state}`} open={of.state === 'failed' || of.state === 'waiting'}>
      <summary>
        <State of={of} /> <span class="why-hint">why?</span>
      </summary>
      <div class="why-body">
        {asked.length === 0 && (
          <p>
            <Plain text={of.why} />
          </p>
        )}
        {asked.map((each) =>
          each.kind === 'approval' ? (
            <Approval key={each.id} of={each} within />
          ) : isMatter(each) ? (
            <Matter key={each.id} of={each} within />
          ) : (
            <Question key={each.id} of={each} within />
          ),
        )}
        {trouble}
        <div class="row">
          {needsPerson && asked.length === 0 && (
            <a class="button primary" href={href({ name: 'inbox' })}>
              Open in the inbox
            </a>
          )}
          {of.can.includes('retry') && (
            <Button onClick={() => act(() => api.retry(task), 'Retrying')}>
              <Icon of="retry" /> Retry
            </Button>
          )}
          {of.can.includes('cancel') && (
            <Button onClick={() => act(() => api.cancel(task), 'Stopped')}>
              <Icon of="stop" /> Stop
            </Button>
          )}
        </div>
      </div>
    </details>
  );
}

const DELIVERY: Readonly<Record<Reply['delivery']['state'], string>> = {
  sent: '',
  fetched: '',
  waiting: '',
  sending: 'being sent',
  unsure: 'may not have arrived',
  failed: 'not delivered',
};

export function ReplyEntry(props: { entry: Reply; agent: string; steps: string | null; open: boolean }): JSX.Element {
  const { entry } = props;
  const delivery = DELIVERY[entry.delivery.state];
  const cost = money(entry.costUsd, entry.unpriced);
  return (
    <article class="entry answer" aria-label={`Answer from ${props.agent}`}>
      <Markdown text={entry.text} />
      <Files files={entry.files} />
      <footer class="entry-foot">
        <Ago at={entry.at} />
        {cost !== '' && <span>{cost}</span>}
        {delivery !== '' && (
          <span class="bad" title={entry.delivery.error}>
            {delivery}
          </span>
        )}
        {entry.delivery.state === 'waiting' && entry.delivery.until !== undefined && (
          <span title="Nobody is told during quiet hours.">waits until {timeOfDay(entry.delivery.until)}</span>
        )}
        {entry.delivery.repeated && <span>sent again after an interruption</span>}
        {props.steps !== null && (
          <a class="steps-link" href={props.steps} aria-current={props.open ? 'true' : undefined}>
            {entry.commit === null ? 'Steps' : 'Steps and changes'}
          </a>
        )}
        <CopyButton text={entry.text} what="this answer" />
      </footer>
    </article>
  );
}

/** Files never load by themselves, except pictures that a person or the agent put here, which come from the gateway. */
const Files = ({ files }: { files: readonly FileView[] }): JSX.Element | null =>
  files.length === 0 ? null : (
    <ul class="files">
      {files.map((file) => (
        <li>
          <a href={ownPath(file.href)} download={file.name}>
            {/^image\/(png|jpeg|gif|webp)$/.test(file.mediaType) && (
              <img src={ownPath(file.href)} alt="" loading="lazy" width="96" height="72" />
            )}
            <span>
              <Plain text={file.name} />
            </span>
            <span class="quiet">{bytes(file.size)}</span>
          </a>
        </li>
      ))}
    </ul>
  );

/** Whatever the record says, a file comes from the gateway's own API. */
const ownPath = (path: string): string => (path.startsWith('/api/') ? path : '');

/** When a message that waits is tried again. */
function Next({ due }: { due: number | null }): JSX.Element {
  const { now } = useApp();
  const text = useComputed(() => {
    if (due === null) return 'It will be sent when the connection is back.';
    const seconds = Math.ceil((due - now.value) / 1_000);
    return seconds > 0 ? `Next attempt in ${seconds} s.` : 'Next attempt now.';
  });
  return <>{text}</>;
}

/** A message that the record does not hold yet. */
export function OutgoingEntry({ message, edit }: { message: Outgoing; edit: () => void }): JSX.Element {
  const { outgoing } = useApp();
  const words: Record<Outgoing['state'], string> = {
    sending: 'Sending…',
    waiting: message.why === '' ? 'Not sent yet' : `Not sent yet: ${message.why}`,
    accepted: 'Received',
    refused: `Not sent: ${message.why}`,
  };
  return (
    <article class="entry said" aria-label="Your message">
      <div class={`bubble ${message.state === 'accepted' ? '' : 'unsent'}`}>
        <Words text={message.text} />
        {message.files.map((file) => (
          <p class="quiet">
            <Icon of="clip" /> {file.name}
          </p>
        ))}
      </div>
      <footer class="entry-foot">
        <span class={message.state === 'refused' ? 'bad' : ''}>
          {words[message.state]} {message.state === 'waiting' && <Next due={message.due} />}
        </span>
        {message.state !== 'sending' && message.state !== 'accepted' && (
          <>
            <Button kind="bare" onClick={() => outgoing.again(message.id)}>
              {message.lost.length > 0 ? 'Send without files' : 'Send now'}
            </Button>
            <Button
              kind="bare"
              onClick={() => {
                edit();
                outgoing.drop(message.id);
              }}
            >
              Edit
            </Button>
            <Button kind="bare" onClick={() => outgoing.drop(message.id)}>
              Discard
            </Button>
          </>
        )}
      </footer>
    </article>
  );
}
