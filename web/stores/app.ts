import { createContext } from 'preact';
import { useContext, useEffect, useRef } from 'preact/hooks';
import { computed, effect, signal, untracked, type ReadonlySignal, type Signal } from '@preact/signals';
import type { EscalationState } from '../../src/core/escalation.ts';
import type { AgentState, Pending, RuntimeStatus } from '../../src/core/api/runtime.ts';
import type { ConversationSummary, FailureView } from '../../src/core/api/views.ts';
import { ApiError, createApi, type Api } from '../lib/api.ts';
import { createRouter, type Router } from '../lib/router.ts';
import { kept, type Kept } from '../lib/stored.ts';
import { namesFor, type Names } from '../lib/words.ts';
import type { Live } from './changes.ts';
import { createLive } from './live.ts';
import { createOutgoing, type Outgoing, type OutgoingStore } from './outgoing.ts';
import { resource, valueOf, type Resource } from './resource.ts';
import { createNotices, type Notices } from './notices.ts';
import { createTalks, type Talks } from './talks.ts';
import { joinTabs } from './tabs.ts';
import { createUnsent, type Unsent } from './unsent.ts';
import { createWork, type Work } from './work.ts';

export interface Network {
  status: RuntimeStatus;
  agents: AgentState[];
}

export interface Inbox {
  pending: Pending[];
  failures: FailureView[];
  /** Of what waits, those that go up a chain. */
  escalations: EscalationState[];
}

/** Everything the page is made of, handed down through one context. */
export interface App {
  api: Api;
  router: Router;
  live: Live;
  /** `out`: the gateway does not know us. */
  session: Signal<'unknown' | 'in' | 'out'>;
  network: Resource<Network>;
  /** The gateway serves a newer page than this one. */
  outdated: ReadonlySignal<boolean>;
  conversations: Resource<ConversationSummary[]>;
  talks: Talks;
  inbox: Resource<Inbox>;
  /** With the channels that there are. */
  names: ReadonlySignal<Names>;
  /** How much waits for a person; null while that is not known. */
  waiting: ReadonlySignal<number | null>;
  outgoing: OutgoingStore;
  /** What is written and chosen in one place of the page. */
  unsent(place: string): Unsent;
  work: Work;
  notices: Notices;
  /** What is kept over reloads of this tab, and for good. */
  tab: Kept;
  settings: Kept;
  /** Milliseconds since the epoch, moving on every second. */
  now: ReadonlySignal<number>;
  /** What the page that is open is about, for its title; '' where its place says that. */
  heading: Signal<string>;
  /** Said by screen readers. */
  spoken: Signal<string>;
  newId(): string;
  /** Asks whether we are logged in by now, such as in another tab. */
  enter(): Promise<void>;
}

const Context = createContext<App | null>(null);
export const AppProvider = Context.Provider;

export function useApp(): App {
  const app = useContext(Context);
  if (!app) throw new Error('no app around this component');
  return app;
}

export function createApp(): App {
  const session = signal<'unknown' | 'in' | 'out'>('unknown');
  const api = createApi(() => (session.value = 'out'));
  const settings = kept(() => localStorage);
  const tab = kept(() => sessionStorage);
  const newId = (): string => `web-${randomName()}`;
  const router = createRouter();
  const live = createLive(joinTabs(newId), () => void check(api, session));
  const connected = (): boolean => live.state.peek() === 'open';
  const outgoing = createOutgoing({ api, kept: tab, now: Date.now, newId, connected, moved: follow(router) });
  const network = resource(async () => {
    const [status, agents] = await Promise.all([api.status(), api.agents()]);
    return { status, agents };
  }, 2_000);
  const names = computed(() => namesFor(valueOf(network.state.value)?.status.channels ?? []));
  const talks = createTalks(api);
  const { list: conversations } = talks;
  const inbox = resource(async () => {
    const [pending, failures, escalations] = await Promise.all([api.pending(), api.failures(), api.escalations()]);
    return { pending, failures, escalations };
  }, 500);
  const waiting = computed(() => {
    const known = valueOf(inbox.state.value);
    return known === null ? null : known.pending.length + known.failures.length;
  });
  const asked = computed(() => valueOf(inbox.state.value)?.pending ?? null);
  const look = (): void => {
    for (const each of [network, talks, inbox]) each.changed();
  };
  live.onChange(look);
  effect(() => {
    if (session.value === 'out') live.close();
  });
  const outdated = signal(false);
  live.onChange((change) => {
    // The stream has begun anew: the gateway may be another one by now.
    if (change === null) void isReplaced(api).then((replaced) => (outdated.value = replaced));
  });
  effect(() => {
    if (live.state.value !== 'open') return;
    session.value = 'in';
    // What it reads and changes must not make this run again: that sent the same messages without end.
    untracked(outgoing.flush);
  });
  // The first request tells whether there is a use in others.
  const enter = async (): Promise<void> => {
    await check(api, session);
    if (session.peek() === 'out') return;
    look();
    live.retry();
  };
  void enter();
  return {
    api,
    router,
    live,
    session,
    network,
    outdated,
    names,
    conversations,
    talks,
    inbox,
    waiting,
    outgoing,
    unsent: createUnsent(tab),
    work: createWork(api),
    notices: createNotices(asked, settings, () => router.go({ name: 'inbox' })),
    tab,
    settings,
    now: ticking(),
    heading: signal(''),
    spoken: signal(''),
    newId,
    enter,
  };
}

/** A conversation that is handed over is followed while it is looked at. */
const follow =
  (router: Router) =>
  ({ agent, session }: Outgoing, to: string): void => {
    const route = router.route.peek();
    if (route.name === 'chat' && route.agent === agent && route.session === session)
      router.go({ ...route, agent: to, steps: null }, 'replace');
  };

/** Tells a gateway that is gone from one that does not know us. */
async function check(api: Api, session: Signal<'unknown' | 'in' | 'out'>): Promise<void> {
  try {
    await api.me();
    session.value = 'in';
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) session.value = 'out';
  }
}

/** A tab may outlive an upgrade. What it shows and sends is then that of the version before. */
async function isReplaced(api: Api): Promise<boolean> {
  const mine = document.querySelector('head > script[src]')?.getAttribute('src');
  try {
    const now = /<script [^>]*src="([^"]+)"/.exec(await api.page())?.[1];
    return now !== undefined && now !== mine;
  } catch {
    return false; // gone again: the next connection asks
  }
}

/** `crypto.randomUUID` is missing where the page came over plain HTTP from another machine. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(36).padStart(2, '0')).join('');
}

function ticking(): ReadonlySignal<number> {
  const now = signal(Date.now());
  setInterval(() => {
    if (document.visibilityState === 'visible') now.value = Date.now();
  }, 1_000);
  document.addEventListener('visibilitychange', () => (now.value = Date.now()));
  return now;
}

/** Something this component opens and closes again, made anew when the key changes. */
export function useOpened<T extends { close(): void }>(key: string, open: () => T): T {
  const held = useRef<{ key: string; value: T } | null>(null);
  if (held.current?.key !== key) {
    held.current?.value.close();
    held.current = { key, value: open() };
  }
  useEffect(
    () => () => {
      held.current?.value.close();
      held.current = null;
    },
    [],
  );
  return held.current.value;
}
