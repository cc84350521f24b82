import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ConversationView } from '../../src/core/api/views.ts';
import { href, type Route } from '../lib/route.ts';
import { Composer } from '../parts/composer.tsx';
import { DraftEntry } from '../parts/draft.tsx';
import { MessageEntry, OutgoingEntry, ReplyEntry } from '../parts/entry.tsx';
import { Icon } from '../parts/icons.tsx';
import { Await, Button, Plain } from '../parts/small.tsx';
import { Steps, useItem } from '../parts/steps.tsx';
import { useApp, useOpened } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { createTalk, type Talk } from '../stores/talk.ts';
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
  return (
    <div class={`split ${route.steps === null ? '' : 'with-steps'}`}>
      <Sidebar />
      <section class="talk-pane" aria-label={`Conversation with ${agent}`}>
        <Head talk={talk} />
        <Await of={talk.state} what="the conversation" retry={() => void talk.refresh()}>
          {(view) => <Entries talk={talk} view={view} steps={route.steps} />}
        </Await>
        <div class="column foot">
          <Composer
            keep={`draft:${agent}/${session}`}
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

function Entries({ talk, view, steps }: { talk: Talk; view: ConversationView; steps: string | null }): JSX.Element {
  const { agent, session } = talk;
  const sending = talk.sending.value;
  const working = talk.working.value;
  const scroll = useStuck(`${view.entries.length} ${sending.length}`, working !== null ? talk.draft.value : null);
  const route = (task: string): string => href({ name: 'chat', agent, session, steps: steps === task ? null : task });
  return (
    <div class="scroll" ref={scroll}>
      <div class="column entries" role="log" aria-label="Messages" aria-live="polite" aria-relevant="additions">
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
          <OutgoingEntry key={message.id} message={message} />
        ))}
        {working !== null && !view.entries.some((entry) => entry.task === working) && (
          <DraftEntry draft={talk.draft} agent={agent} />
        )}
      </div>
    </div>
  );
}

/** Keeps the end in view while it grows, unless the person has scrolled up to read. */
function useStuck(count: string, growing: unknown): { current: HTMLDivElement | null } {
  const scroll = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  useLayoutEffect(() => {
    const element = scroll.current;
    if (!element) return undefined;
    const look = (): void => {
      stuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < 80;
    };
    element.addEventListener('scroll', look, { passive: true });
    const grown = new ResizeObserver(() => {
      if (stuck.current) element.scrollTop = element.scrollHeight;
    });
    for (const child of element.children) grown.observe(child);
    return () => {
      element.removeEventListener('scroll', look);
      grown.disconnect();
    };
  }, []);
  useLayoutEffect(() => {
    if (scroll.current && stuck.current) scroll.current.scrollTop = scroll.current.scrollHeight;
  }, [count, growing]);
  return scroll;
}

function Beside({ route, task }: { route: ChatRoute; task: string }): JSX.Element {
  const item = useItem(task);
  const close = href({ ...route, steps: null });
  return (
    <aside class="beside" aria-label="Steps">
      <header class="beside-head">
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
