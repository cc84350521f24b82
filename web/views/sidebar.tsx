import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { ConversationSummary } from '../../src/core/api/views.ts';
import { href } from '../lib/route.ts';
import { stateWords } from '../lib/words.ts';
import { Icon } from '../parts/icons.tsx';
import { Ago, Await, Button, Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';

/** The conversations, latest first. */
export function Sidebar(): JSX.Element {
  const { talks, router } = useApp();
  const route = router.route.value;
  const shown = talks.text.value === '' ? talks.list : talks.found;
  return (
    <nav class="sidebar" aria-label="Conversations">
      <a class="button plain new" href="/" aria-current={route.name === 'home' ? 'page' : undefined}>
        <Icon of="plus" /> New chat
      </a>
      <Search />
      <Await of={shown.state} what="conversations" retry={() => void shown.refresh()}>
        {(list) =>
          list.length === 0 ? (
            <p class="quiet pad">{talks.text.value === '' ? 'No conversations yet.' : 'No conversation matches.'}</p>
          ) : (
            <>
              <ul class="talks">
                {list.map((each) => (
                  <li key={`${each.agent}/${each.session}`}>
                    <Talk
                      of={each}
                      current={route.name === 'chat' && route.agent === each.agent && route.session === each.session}
                    />
                  </li>
                ))}
              </ul>
              {talks.isCut(list) && <Button onClick={talks.more}>Older conversations</Button>}
            </>
          )
        }
      </Await>
    </nav>
  );
}

/** Milliseconds of quiet before what is typed is looked for. */
const PAUSE = 200;

function Search(): JSX.Element {
  const { talks } = useApp();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <input
      class="search"
      type="search"
      placeholder="Search conversations"
      aria-label="Search conversations"
      defaultValue={talks.text.peek()}
      onInput={({ currentTarget: { value } }) => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => talks.look(value), PAUSE);
      }}
    />
  );
}

function Talk({ of, current }: { of: ConversationSummary; current: boolean }): JSX.Element {
  const { names } = useApp();
  const { state } = of.standing;
  return (
    <a
      class={`talk state-${state}`}
      href={href({ name: 'chat', agent: of.agent, session: of.session, steps: null })}
      aria-current={current ? 'page' : undefined}
    >
      <span class="talk-title">
        <Plain text={of.title === '' ? 'Untitled' : of.title} />
      </span>
      <span class="talk-facts">
        {of.agent}
        {of.channel !== 'http' && ` · ${names.value.channel(of.channel)}`} · <Ago at={of.lastAt} />
      </span>
      {state !== 'answered' && (
        <span class="talk-state">
          <span class="dot" aria-hidden="true" />
          {stateWords(of.standing)}
        </span>
      )}
    </a>
  );
}
