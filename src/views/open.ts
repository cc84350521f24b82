import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { Paused } from '../core/api/runtime.ts';
import type { Views } from '../core/api/views.ts';
import { readBoard, conversationList, failureList, runsPage } from './lists.ts';
import { readChain } from './chain.ts';
import { readConversation } from './conversation.ts';
import { readDiff, readExact, readFile } from './exact.ts';
import { Facts, type FactsOptions } from './facts.ts';
import { Ledger } from './ledger.ts';
import { readNet } from './net.ts';
import { type OriginOptions, readOrigin } from './origin.ts';
import { readRun } from './run.ts';

export interface ViewsOptions extends OriginOptions {
  workspace: Pick<Workspace, 'commitDiff' | 'head' | 'files' | 'lastChange'>;
  clock: Clock;
  log: Log;
  /** True for channels the runtime sends to; the replies of others are fetched. */
  pushes(channel: string): boolean;
  /** Why an agent takes no work; null if it does. */
  paused: (agent: string) => Paused | null;
  hindered: FactsOptions['hindered'];
  timeText: FactsOptions['timeText'];
  zone: FactsOptions['zone'];
  /** Newest tasks that lists show. */
  limit?: number;
}

export interface OpenViews extends Views {
  close(): void;
}

/** Entries of a conversation at once, at most. */
const MAX_PAGE = 200;

/** Nothing is read until somebody asks. */
export function openViews(options: ViewsOptions): OpenViews {
  const { store, log, limit, pushes } = options;
  const ledger = new Ledger({ store, log, limit });
  const facts = new Facts({ ...options, ledger });
  return {
    conversations: (most, text) => conversationList(facts, most, text),
    conversation: (agent, session, before, most) =>
      readConversation(facts, pushes, { agent, session }, before, Math.min(Math.max(1, most), MAX_PAGE)),
    runs: (query) => runsPage(facts, query),
    board: (query) => readBoard(facts, query),
    chain: (id) => readChain(facts, id),
    run: (id) => readRun(facts, id),
    exact: (id, hash) => readExact(store, id, hash),
    diff: (id) => readDiff(store, options, id),
    origin: (path) => readOrigin(options, path),
    file: (agent, session, hash) => readFile(store, agent, session, hash),
    failures: (most) => failureList(facts, most),
    net: (query) => readNet(store, query),
    watch: (listener) => ledger.watch(listener),
    close: () => ledger.close(),
  };
}
