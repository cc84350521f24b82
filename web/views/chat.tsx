import type { JSX } from 'preact';
import type { ConversationView } from '../../src/core/api/views.ts';
import { href, type Route } from '../lib/route.ts';
import { Composer } from '../parts/composer.tsx';
import { DraftEntry } from '../parts/draft.tsx';
import { MessageEntry, OutgoingEntry, ReplyEntry } from '../parts/entry.tsx';
import { Icon } from '../parts/icons.tsx';
import { useStuck } from '../parts/scroll.ts';
import { Await, Button, Plain } from '../parts/small.tsx';
import { Steps, useItem } from '../parts/steps.tsx';
import { useApp, useOpened } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import type { Outgoing } from '../stores/outgoing.ts';
import { createTalk, type Talk } from '../stores/talk.ts';
import type { Unsent } from '../stores/unsent.ts';
import { Sidebar } from './sidebar.tsx';

type ChatRoute = Extract<Route, { name: 'chat' }>;

/** One conversation: what was said, what is being written, and beside it the steps. */
export function ChatView({ route }: { route: ChatRoute }): JSX.Element {
  const app = useApp();
  const { agent, session } = route;
  const talk = useOpened(`${agent}/${session}`, () => {
    const opened = createTalk(app, agent, session);
    void opened.refresh();
    return opened;
  });
  const mine = app.unsent(`draft:${agent}/${session}`);
  return (
    <div class={`split ${route.steps === null ? '' : 'with-steps'}`}>
      <Sidebar />
      <section class="talk-pane" aria-label={`Conversation with ${agent}`}>
        <Head talk={talk} />
        <Await of={talk.state} what="the conversation" retry={() => void talk.refresh()}>
          {(view) => <Entries talk={talk} view={view} steps={route.steps} edit={(message) => edit(mine, message)} />}
        </Await>
        <div class="column foot">
          <Composer
            unsent={mine}
            placeholder={asks(talk) ? `Your answer to ${agent}` : `Write to ${agent}`}
            working={talk.working.value}
            send={(text, files) => app.outgoing.send({ agent, session, text, files })}
          />
        </div>
      </section>
      {route.steps !== null && <Beside key={route.steps} route={route} task={route.steps} />}
    </div>
  );
}

/** What was not sent goes back to where it was written, before what is written there by now. */
function edit({ text, files, lost }: Unsent, message: Outgoing): void {
  text.value = [message.text, text.value].filter((each) => each.trim() !== '').join('\n\n');
  files.value = [...message.files, ...files.value];
  lost.value = [...new Set([...message.lost, ...lost.value])];
  document.querySelector<HTMLElement>('#composer')?.focus();
}

/** True if the next message is taken as the answer to a question. */
const asks = (talk: Talk): boolean =>
  (valueOf(talk.state.value)?.entries ?? []).some(
    (entry) => entry.kind === 'message' && entry.standing.can.includes('answer'),
  );

function Head({ talk: { agent, session } }: { talk: Talk }): JSX.Element {
  const { conversations } = useApp();
  const known = valueOf(conversations.state.value)?.find((each) => each.agent === agent && each.session === session);
  return (
    <header class="talk-head">
      <a class="button bare back" href="/" aria-label="All conversations">
        <Icon of="back" />
      </a>
      <h1>
        <Plain text={known?.title || 'New chat'} />
      </h1>
      <span class="quiet talk-agent">{agent}</span>
    </header>
  );
}

interface EntriesProps {
  talk: Talk;
  view: ConversationView;
  steps: string | null;
  edit: (message: Outgoing) => void;
}

function Entries({ talk, view, steps, edit: again }: EntriesProps): JSX.Element {
  const { agent, session } = talk;
  const sending = talk.sending.value;
  const working = talk.working.value;
  const { scroll, away, toEnd } = useStuck({
    first: view.entries[0]?.id ?? '',
    sent: talk.sent.value,
    growing: [view.entries.length, sending.length, working !== null ? talk.draft.value : null],
  });
  const route = (task: string): string => href({ name: 'chat', agent, session, steps: steps === task ? null : task });
  return (
    <div class="scroll" ref={scroll}>
      <div class="column entries" role="log" aria-label="Messages" aria-live="polite" aria-relevant="additions">
        <h2 class="unseen">Messages</h2>
        {view.earlier !== null && (
          <p class="center">
            <Button onClick={talk.loadEarlier}>Earlier messages</Button>
          </p>
        )}
        {talk.earlierTrouble.value !== null && <p class="note trouble">{talk.earlierTrouble.value}</p>}
        {view.entries.map((entry) =>
          entry.kind === 'message' ? (
            <div key={entry.id}>
              <MessageEntry entry={entry} steps={route(entry.task)} open={steps === entry.task} />
              {entry.task === working && <DraftEntry draft={talk.draft} agent={agent} />}
            </div>
          ) : (
            <ReplyEntry
              key={entry.id}
              entry={entry}
              agent={agent}
              steps={entry.task === null ? null : route(entry.task)}
              open={steps === entry.task}
            />
          ),
        )}
        {sending.map((message) => (
          <OutgoingEntry key={message.id} message={message} edit={() => again(message)} />
        ))}
        {working !== null && !view.entries.some((entry) => entry.task === working) && (
          <DraftEntry draft={talk.draft} agent={agent} />
        )}
      </div>
      {away.value && (
        <p class="newest">
          <Button onClick={toEnd} label="Go to the newest message">
            <Icon of="down" /> Newest
          </Button>
        </p>
      )}
    </div>
  );
}

function Beside({ route, task }: { route: ChatRoute; task: string }): JSX.Element {
  const item = useItem(task);
  const close = href({ ...route, steps: null });
  return (
    <aside class="beside" aria-label="Steps">
      <header class="beside-head">
        <h1 class="unseen beside-name">Steps of a message</h1>
        <h2>Steps</h2>
        <a href={href({ name: 'item', task })}>Open on its own page</a>
        <a class="button bare" href={close} aria-label="Close the steps">
          <Icon of="close" />
        </a>
      </header>
      <div class="beside-body">
        <Steps item={item} task={task} />
      </div>
    </aside>
  );
}
