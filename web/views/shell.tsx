import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal, useSignalEffect } from '@preact/signals';
import { keepFocus } from '../lib/focus.ts';
import { named } from '../lib/hidden.ts';
import { href, placeOf, type Route } from '../lib/route.ts';
import { nextTheme, applyTheme, themeOf } from '../lib/theme.ts';
import { Account } from '../parts/account.tsx';
import { Connection } from '../parts/connection.tsx';
import { Icon, Mark } from '../parts/icons.tsx';
import { Button, Empty, Loading } from '../parts/small.tsx';
import { useShortcuts } from '../parts/shortcuts.tsx';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { AgentsView } from './agents.tsx';
import { BoardView } from './board.tsx';
import { ChatView } from './chat.tsx';
import { ExactView } from './exact.tsx';
import { HomeView } from './home.tsx';
import { InboxView } from './inbox.tsx';
import { ItemView } from './item.tsx';
import { LoggedOut } from './logged-out.tsx';
import { CostsView } from './costs.tsx';
import { ModelsView } from './models.tsx';
import { RightsView } from './rights.tsx';
import { WorkView } from './work.tsx';

export function Shell(): JSX.Element {
  const app = useApp();
  const help = useShortcuts();
  const account = useSignal(false);
  const main = useRef<HTMLElement>(null);
  const session = app.session.value;
  const route = app.router.route.value;
  useTitle();
  const place = placeOf(route);
  const first = useRef(true);
  useLayoutEffect(() => {
    // A person who cannot see the page change is taken to what is new; the first page is read from its top anyway.
    if (!first.current && !main.current?.contains(document.activeElement)) main.current?.focus();
    first.current = false;
    if (main.current) main.current.scrollTop = app.router.kept(place);
  }, [place]);
  useLayoutEffect(() => (main.current ? keepFocus(main.current) : undefined), [session === 'out']);
  if (session === 'out') return <LoggedOut />;
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={() => main.current?.focus()}>
        Skip to the content
      </a>
      <Bar openHelp={help.open} openAccount={() => void (account.value = true)} />
      <Connection />
      <main
        id="main"
        ref={main}
        tabIndex={-1}
        class={`main main-${route.name}`}
        onScroll={({ target, currentTarget }) => {
          if (target === currentTarget) app.router.keep(place, currentTarget.scrollTop);
        }}
      >
        {session === 'unknown' ? <Loading what="Ruche" /> : <View key={place} route={route} />}
      </main>
      <Tabs />
      {help.dialog}
      {account.value && <Account close={() => void (account.value = false)} />}
      <p class="unseen" role="status" aria-live="polite">
        {app.spoken}
      </p>
    </div>
  );
}

function View({ route }: { route: Route }): JSX.Element {
  switch (route.name) {
    case 'home':
      return <HomeView />;
    case 'chat':
      return <ChatView route={route} />;
    case 'work':
      return <WorkView route={route} />;
    case 'board':
      return <BoardView agent={route.agent} />;
    case 'agents':
      return <AgentsView />;
    case 'rights':
      return <RightsView agent={route.agent} />;
    case 'item':
      return <ItemView task={route.task} />;
    case 'exact':
      return <ExactView task={route.task} hash={route.hash} />;
    case 'inbox':
      return <InboxView />;
    case 'models':
      return <ModelsView />;
    case 'costs':
      return <CostsView />;
    case 'nowhere':
      return (
        <div class="page">
          <h1 class="unseen">Not found</h1>
          <Empty title="This page does not exist.">
            <a href="/">Home</a>
          </Empty>
        </div>
      );
  }
}

const PLACES = [
  { name: 'chat', label: 'Chat', to: '/', icon: 'chat' },
  { name: 'work', label: 'Work', to: '/work', icon: 'list' },
  { name: 'agents', label: 'Agents', to: '/agents', icon: 'agents' },
  { name: 'inbox', label: 'Inbox', to: '/inbox', icon: 'inbox' },
] as const;

const sectionOf = (route: Route): string => {
  if (route.name === 'home' || route.name === 'chat') return 'chat';
  if (route.name === 'rights') return 'agents';
  return route.name === 'item' || route.name === 'exact' || route.name === 'board' ? 'work' : route.name;
};

function Places(): JSX.Element {
  const { router, waiting } = useApp();
  const section = sectionOf(router.route.value);
  const count = waiting.value ?? 0;
  return (
    <ul>
      {PLACES.map(({ name, label, to, icon }) => (
        <li>
          <a href={to} aria-current={section === name ? 'page' : undefined}>
            <Icon of={icon} />
            <span>{label}</span>
            {name === 'inbox' && count > 0 && (
              <span class="count">
                {count}
                <span class="unseen"> waiting for you</span>
              </span>
            )}
          </a>
        </li>
      ))}
    </ul>
  );
}

/** The places at the foot of a small screen. */
const Tabs = (): JSX.Element => (
  <nav class="tabs" aria-label="Places">
    <Places />
  </nav>
);

function Bar({ openHelp, openAccount }: { openHelp: () => void; openAccount: () => void }): JSX.Element {
  const { network } = useApp();
  const status = valueOf(network.state.value)?.status;
  return (
    <header class="bar">
      <a class="brand" href="/" aria-label="Ruche home">
        <Mark />
        <span>Ruche</span>
      </a>
      <nav class="places" aria-label="Main">
        <Places />
      </nav>
      <div class="bar-end">
        {status && (
          <a class="model" href={href({ name: 'models' })} title="Models and keys">
            {status.demo ? 'demo model' : status.model}
          </a>
        )}
        <ThemeButton />
        <Button kind="bare" label="This browser: notifications, log out" onClick={openAccount}>
          <Icon of="out" />
        </Button>
        <Button kind="bare" label="Help and keyboard shortcuts" onClick={openHelp}>
          <span class="question" aria-hidden="true">
            ?
          </span>
        </Button>
      </div>
    </header>
  );
}

function ThemeButton(): JSX.Element {
  const { settings, spoken } = useApp();
  const theme = useSignal(themeOf(settings));
  const icons = { auto: 'half', light: 'sun', dark: 'moon' } as const;
  const change = (): void => {
    theme.value = nextTheme(theme.value);
    applyTheme(settings, theme.value);
    spoken.value = `Colours: ${theme.value === 'auto' ? 'same as the system' : theme.value}`;
  };
  const now = theme.value === 'auto' ? 'same as the system' : theme.value;
  return (
    <Button kind="bare" label={`Colours: ${now}. Change`} onClick={change}>
      <Icon of={icons[theme.value]} />
    </Button>
  );
}

const TITLES: Partial<Record<Route['name'], string>> = {
  work: 'Work',
  item: 'Work',
  board: 'Board',
  agents: 'Agents',
  rights: 'Rights',
  inbox: 'Inbox',
  models: 'Models',
  costs: 'Costs',
  exact: 'Exact record',
};

function useTitle(): void {
  const { router, waiting, conversations, session, heading } = useApp();
  useSignalEffect(() => {
    const route = router.route.value;
    const count = waiting.value ?? 0;
    const known = valueOf(conversations.state.value) ?? [];
    const talk =
      route.name === 'chat'
        ? known.find((each) => each.agent === route.agent && each.session === route.session)?.title
        : undefined;
    const name = session.value === 'out' ? 'logged out' : (talk ?? (heading.value || TITLES[route.name]));
    document.title = `${count > 0 ? `(${count}) ` : ''}${name ? `${named(name)} · ` : ''}Ruche`;
  });
}
