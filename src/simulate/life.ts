import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApp } from '../app/app.ts';
import type { App, AppOptions } from '../app/options.ts';
import type { BoundaryName } from '../core/ports/boundary.ts';
import type { Log } from '../core/ports/log.ts';
import { type Store, StoreUnavailable } from '../core/ports/store.ts';
import { isEnded } from '../core/task.ts';
import { systemClock, systemIds, systemRandom } from '../platform/system.ts';
import { breakIn, over } from './breaks.ts';
import { HOUR, MINUTE } from './calendar.ts';
import { SECRET, SECRET_NAME } from './causes.ts';
import { VirtualClock } from './clock.ts';
import { Dice } from './dice.ts';
import { agentFile } from './network.ts';
import { AGENTS } from './orders.ts';
import type { PlayOptions } from './record.ts';
import { type Act, makePlan, type Plan } from './plan.ts';
import { Person } from './person.ts';
import { PERSON, scriptedChannel } from './platform.ts';
import { scriptedNet } from './provider.ts';
import { sendHooks } from './sender.ts';
import { type Entry, readWorld, World } from './world.ts';

/** Milliseconds after which a kill that was to meet a boundary comes anyway. */
const PATIENCE = 4 * MINUTE;
/** Milliseconds before something is due at which time stops once more. */
const BEFORE = MINUTE;
/** How long what is left is waited for once the week is over, and between two of the owner's rounds then. */
const DRAIN = 4 * HOUR;
const ROUND = 30 * MINUTE;
const SETTLE = 3_000;

/** One process of the play: begins where the last one was ended, and ends by a kill or with the week. */
export async function live(options: PlayOptions): Promise<void> {
  const plan = makePlan(options.seed, options.days);
  const entries = readWorld(options.dir);
  const lives = entries.filter(({ kind }) => kind === 'life').length;
  const life = new Life(options, plan, entries, lives + 1);
  try {
    await life.play();
  } catch (error) {
    // The network would go on by itself, and its time with it.
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
}

/** The time at which a process begins, and how far ahead its clock is. */
function timeAfter(plan: Plan, entries: readonly Entry[]): { time: number; ahead: number } {
  const last = entries.at(-1);
  const time = last === undefined ? plan.start : last.t + (last.kind === 'killed' ? last.downMs : 1_000);
  const ahead = entries.reduce((sum, entry) => sum + (entry.kind === 'jumped' ? entry.ms : 0), 0);
  return { time, ahead };
}

class Life {
  readonly #options: PlayOptions;
  readonly #plan: Plan;
  readonly #clock: VirtualClock;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #person: Person;
  #app: App | null = null;
  #store: Store | null = null;
  /** The boundary at which the process is to die, and how often it is passed before. */
  #fatal: (Act & { do: 'kill'; left: number }) | null = null;
  #full: { id: string; until: number; bitten: boolean } | null = null;

  constructor(options: PlayOptions, plan: Plan, entries: Entry[], n: number) {
    this.#options = options;
    this.#plan = plan;
    this.#dice = new Dice(options.seed * 1_000 + n);
    const pause = (): Promise<void> => systemClock.sleep(1);
    this.#clock = new VirtualClock({ ...timeAfter(plan, entries), pause, work: () => this.#work() });
    const clock = this.#clock;
    this.#world = new World(options.dir, entries, () => ({ t: clock.time, wall: clock.now() }));
    this.#person = new Person({ ...options, clock, world: this.#world });
    this.#world.note({ kind: 'life', n });
  }

  async play(): Promise<void> {
    const running = this.#clock.run();
    this.#app = await startApp(this.#appOptions());
    const sending = new AbortController();
    const { url } = this.#app.gateway;
    sendHooks({ plan: this.#plan, clock: this.#clock, world: this.#world, url }, sending.signal);
    for (const act of this.#plan.acts) {
      if (this.#world.of('done').some((each) => each.act === act.id)) continue;
      await this.#clock.until(act.at);
      this.#clock.stir();
      await this.#act(act);
      this.#world.note({ kind: 'done', act: act.id });
    }
    await this.#clock.until(this.#plan.end);
    await this.#drain();
    sending.abort();
    await this.#app.close('the week is over');
    this.#world.note({ kind: 'closed' });
    this.#clock.stop();
    await running;
    this.#world.close();
  }

  #appOptions(): AppOptions {
    const { dir, broken, path } = this.#options;
    const [plan, clock, world] = [this.#plan, this.#clock, this.#world];
    const dice = this.#dice;
    const bytes = (length: number): Uint8Array => systemRandom.bytes(length);
    const wrap = breakIn(broken, world);
    return {
      version: '0.0.0-simulated',
      home: join(dir, 'home'),
      workspace: join(dir, 'workspace'),
      template: join(dir, 'template'),
      host: '127.0.0.1',
      port: 0,
      token: () => 'simulated-token-of-a-network-that-is-played',
      env: { PATH: path, HOME: dir, [SECRET_NAME]: SECRET },
      platform: process.platform,
      machine: { arch: process.arch, uid: process.getuid?.() ?? 0 },
      log: fileLog(join(dir, 'log.jsonl'), clock),
      channels: () => [
        { channel: wrap.channel(scriptedChannel({ plan, clock, world })), owners: [PERSON], agent: null },
      ],
      boundary: (name) => this.#boundary(name),
      system: { clock: wrap.clock(clock), ids: systemIds, random: { bytes, number: () => dice.next() } },
      wrap: {
        store: async (open) => (this.#store = wrap.store(watched(await open(), clock, world))),
        workspace: async (open) => wrap.workspace(await open()),
        net: () => scriptedNet({ plan, clock, world }),
      },
    };
  }

  /** When there is work again, by what clocks show. It only says where time stops: whether that was right is checked later. */
  async #work(): Promise<number | 'now' | null> {
    const [store, app] = [this.#store, this.#app];
    if (store === null || app === null) return 'now';
    // The task that a planted bug has forgotten counts as running, and nobody works on it.
    const forgotten = this.#options.broken === 'forgotten-task' ? this.#world.of('broke').length : 0;
    if ((await store.counts()).running > forgotten) return 'now';
    const now = this.#clock.now();
    const { schedules, escalations, triggers } = app.runtime;
    const firings = AGENTS.flatMap((agent) => schedules.nextFiring(agent) ?? []);
    const levels = (await escalations.list()).flatMap(({ next }) => next ?? []);
    const bursts = (await triggers.list()).flatMap(({ waiting }) => waiting?.due ?? []);
    // A while before it is due as well: what would come too early comes then.
    const dues = [...firings, ...levels, ...bursts]
      .filter((due) => due > now)
      .map((due) => (due - BEFORE > now ? due - BEFORE : due));
    const due = await store.nextDue(now);
    const next = Math.min(due ?? Infinity, ...dues);
    return next === Infinity ? null : next;
  }

  #boundary(name: BoundaryName): void {
    if (!name.startsWith('journal')) this.#clock.stir();
    const fatal = this.#fatal;
    if (fatal !== null && fatal.boundary === name && (fatal.left -= 1) < 0) this.#die(fatal, name);
    const full = this.#full;
    if (full === null || name !== 'store.commit.before') return;
    if (this.#clock.time >= full.until) {
      this.#full = null;
      return;
    }
    if (!full.bitten) this.#world.note({ kind: 'fault', fault: 'disk: full', id: full.id });
    full.bitten = true;
    throw new StoreUnavailable('full', 'scripted: the disk is full');
  }

  #die({ id, downMs }: Act & { do: 'kill' }, boundary: string): never {
    this.#world.note({ kind: 'done', act: id });
    this.#world.note({ kind: 'fault', fault: 'kill', id });
    this.#world.note({ kind: 'killed', boundary, downMs });
    process.kill(process.pid, 'SIGKILL');
    throw new Error('the process outlives SIGKILL');
  }

  async #act(act: Act): Promise<void> {
    const workspace = join(this.#options.dir, 'workspace');
    const world = this.#world;
    switch (act.do) {
      case 'kill':
        this.#fatal = { ...act, left: act.skip };
        await this.#clock.until(this.#clock.time + PATIENCE);
        return this.#die(act, 'none');
      case 'full':
        this.#full = { id: act.id, until: this.#clock.time + act.ms, bitten: false };
        return;
      case 'jump':
        world.note({ kind: 'fault', fault: act.ms > 0 ? 'clock: forward' : 'clock: back', id: act.id });
        world.note({ kind: 'jumped', ms: act.ms });
        this.#clock.jump(act.ms);
        return;
      case 'sleep':
        world.note({ kind: 'fault', fault: 'sleep', id: act.id });
        return this.#clock.leap(act.ms);
      case 'pause':
        await this.#running.runtime.pauseAgent(act.agent, 'person:owner', 'It is played.');
        return;
      case 'resume':
        await this.#running.runtime.resumeAgent(act.agent, 'person:owner');
        return;
      case 'reschedule': {
        const all = schedulesAt(this.#plan, act);
        const agent = all[act.schedule]?.agent;
        if (agent) writeFileSync(join(workspace, 'agents', agent, 'AGENT.md'), agentFile(agent, all));
        return;
      }
      case 'owner':
        return this.#owner();
      default:
        return this.#person.act(act);
    }
  }

  get #running(): App {
    if (this.#app === null) throw new Error('the app has not started');
    return this.#app;
  }

  /** The owner looks at what waits, answers it, and has what is dead tried again, once. */
  async #owner(): Promise<void> {
    const { runtime } = this.#running;
    const by = 'person:owner';
    for (const { id, kind } of await runtime.pending())
      if (kind === 'approval') await runtime.approve(id, 'approve', by);
      else await runtime.answer(id, 'Seen. Go ahead.', by);
    for (const task of (await this.#store?.tasks({ statuses: ['dead'] })) ?? [])
      if (task.queue !== 'outbox') await runtime.retry(task.id, by);
  }

  /** Until everything has ended, or nobody can believe any more that it will. */
  async #drain(): Promise<void> {
    const last = this.#clock.time + DRAIN;
    while (this.#clock.time < last) {
      // What begins with the last stroke is under way then.
      this.#clock.stir();
      await this.#clock.until(this.#clock.time + SETTLE);
      await this.#owner();
      const open = ((await this.#store?.tasks({})) ?? []).filter(({ status }) => !isEnded(status));
      const bursts = (await this.#running.runtime.triggers.list()).filter(({ waiting }) => waiting !== null);
      if (open.length === 0 && bursts.length === 0) break;
      await this.#clock.until(this.#clock.time + ROUND);
    }
  }
}

/** The schedules as an edit leaves them. */
function schedulesAt(plan: Plan, upTo: Act): Plan['schedules'] {
  const schedules = plan.schedules.map((each) => ({ ...each }));
  for (const act of plan.acts) {
    const edited = act.do === 'reschedule' ? schedules[act.schedule] : undefined;
    if (act.do === 'reschedule' && edited && act.at <= upTo.at) edited.when = act.when;
  }
  return schedules;
}

/** Tells the world of each firing, with the time that clocks really show. */
function watched(store: Store, clock: VirtualClock, world: World): Store {
  return over(store, {
    commit: async (batch) => {
      const result = await store.commit(batch);
      for (const event of result.ok ? batch.events : [])
        if (event.type === 'schedule.fired')
          world.note({ kind: 'fired', schedule: event.data.schedule, at: event.data.at });
      clock.stir();
      return result;
    },
  });
}

function fileLog(path: string, clock: VirtualClock): Log {
  const write =
    (level: string) =>
    (fields: object, message: string): void =>
      appendFileSync(
        path,
        `${JSON.stringify({ at: new Date(clock.now()).toISOString(), level, message, ...fields })}\n`,
      );
  return { debug: () => undefined, info: write('info'), warn: write('warn'), error: write('error') };
}
