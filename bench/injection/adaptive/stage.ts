import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectTo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp } from '../../../src/app/app.ts';
import { BUILTIN } from '../../../src/app/builtin.ts';
import type { AppOptions } from '../../../src/app/options.ts';
import type { Pending } from '../../../src/core/api/runtime.ts';
import type { ModelMessage, ModelRequest } from '../../../src/core/model.ts';
import type { ChannelHost } from '../../../src/core/ports/channel.ts';
import type { Answering } from '../../../src/core/standing.ts';
import type { Sandbox } from '../../../src/core/ports/sandbox.ts';
import { openNet } from '../../../src/net/guard.ts';
import { systemIds, systemRandom } from '../../../src/platform/system.ts';
import { initWorkspace } from '../../../src/workspace/init.ts';
import { platform, toyMessenger } from '../../../test/app/toy-messenger.ts';
import { leapClock } from '../../../test/fakes/leap-clock.ts';
import { quiet } from '../../../test/fakes/loop.ts';
import { calls, says, scriptedModel } from '../../../test/fakes/scripted-model.ts';
import { ACCOUNT, FILES, PAGES, SPELLINGS } from './home.ts';
import { officeTools, type Sent } from './office.ts';

export type Call = readonly [tool: string, args: { readonly [name: string]: unknown }];

/** What somebody does, one after the other. */
export type Step =
  /** The owner writes; the model then makes these calls instead. `foreign`: the words hold somebody else's. */
  | { say: string; do?: readonly Call[]; to?: string; session?: string; foreign?: true }
  /** A stranger writes in the chat, or presses what is shown there. */
  | { stranger: string; press?: RegExp }
  /** What another agent's model does in its next run. */
  | { agent: string; do: readonly Call[]; ends?: string }
  /** What the next summary of a conversation says. */
  | { summary: string }
  /** The owner commits files as they are now, or these. */
  | { commits: Readonly<Record<string, string>> }
  | { restart: true }
  /** The owner vouches for a value, or takes that back. */
  | { endorses: string; name?: string }
  | { revokes: 'endorsements' | 'grants' }
  | { wait: number };

/** What a person says to a question. */
export type Person = (asked: Pending) => { verdict: 'approve' | 'deny'; answering?: Answering };

const TOKEN = 'a-token-of-the-bench-0123456789';
const OWNER = 'U0OWNER';
/** A public address; connections to it are led to this machine. */
const PUBLIC = '93.184.216.34';

let made: Promise<string> | null = null;
/** The workspace is made once and then copied. */
async function workspaceIn(dir: string): Promise<string> {
  made ??= (async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'ruche-adaptive-')), 'workspace');
    const files = new Map(Object.entries(FILES).map(([path, text]) => [path, Buffer.from(text)]));
    const env = { PATH: process.env['PATH'], HOME: folder };
    await initWorkspace({ dir: folder, files, env, clock: leapClock(Date.now()) });
    return folder;
  })();
  const folder = join(dir, 'workspace');
  await cp(await made, folder, { recursive: true });
  return folder;
}

export async function removeMade(): Promise<void> {
  if (made !== null) await rm(join(await made, '..'), { recursive: true, force: true });
}

const isNote = ({ role, parts: [part] }: ModelMessage): boolean =>
  role === 'user' && part?.type === 'text' && part.text.startsWith('[Ruche]');

/** Who asks, by what stands in every AGENT.md here. */
const agentIn = ({ system }: ModelRequest): string => /You are (\w+)\./.exec(system)?.[1] ?? '';

/** What a model has not seen it cannot send: then it sends this. */
export const UNSEEN = 'nothing-seen';

function sincere(request: ModelRequest, [tool, args]: Call): Call {
  const seen = JSON.stringify(request.messages);
  const knows = SPELLINGS.some((each) => seen.includes(each));
  const unseen = [...(knows ? [] : SPELLINGS), ...(seen.includes(ACCOUNT) ? [] : [ACCOUNT])];
  const hidden = unseen.reduce((text, each) => text.replaceAll(each, UNSEEN), JSON.stringify(args));
  return [tool, JSON.parse(hidden) as Call[1]];
}

/** What one run does, and what it says at its end. */
interface Doing {
  left: Call[];
  ends: string;
}

/** Models that do what the case says, whatever they are told: one list of calls a run. */
class Captured {
  readonly #queues = new Map<string, Doing[]>();
  readonly #running = new Map<string, Doing>();
  summary = 'Nothing of note.';

  does(agent: string, list: readonly Call[], ends = 'done'): void {
    this.#queues.set(agent, [...(this.#queues.get(agent) ?? []), { left: [...list], ends }]);
  }

  answer(request: ModelRequest) {
    const agent = agentIn(request);
    if (request.tools.length === 0 || agent === '') return says(this.summary);
    // A new run begins with words of somebody; one that goes on, with a result.
    const said = request.messages.filter((message) => !isNote(message));
    const goesOn = said.at(-1)?.parts.some(({ type }) => type === 'result') ?? false;
    if (!goesOn) this.#running.set(agent, this.#queues.get(agent)?.shift() ?? { left: [], ends: 'done' });
    const doing = this.#running.get(agent);
    const next = doing?.left.shift();
    return next === undefined ? says(doing?.ends ?? 'done') : calls(sincere(request, next));
  }
}

/** One network for one case, with everything real but models, the store's disk, names, the world and time. */
export async function openStage(person: Person, { commands }: { commands: boolean }) {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-adaptive-'));
  const workspace = await workspaceIn(dir);
  const clock = leapClock(Date.parse('2026-11-30T10:00:00Z'));
  const world: Sent[] = [];
  const site = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    request.on('end', () => {
      const url = `http://${request.headers.host}${request.url}`;
      const more = Object.entries(request.headers).filter(
        ([name]) =>
          !/^(?:host|connection|accept|content-|proxy-|transfer-|pragma)/.test(name) &&
          !/^(?:ruche|curl\/[\d.]+)$/.test(String(request.headers[name])),
      );
      world.push({
        by: 'http',
        what: [`${request.method} ${url}`, JSON.stringify(Object.fromEntries(more)), body].join(' '),
      });
      const page = PAGES[url.split('?')[0] ?? ''];
      if (page?.startsWith('->')) response.writeHead(302, { location: page.slice(2) }).end();
      else response.end(page ?? 'a page');
    });
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  const { port } = site.address() as AddressInfo;
  const net = openNet({
    clock,
    log: quiet,
    resolve: (host) => {
      world.push({ by: 'dns', what: host });
      return Promise.resolve([PUBLIC]);
    },
    connect: () => connectTo(port, '127.0.0.1'),
  });
  const model = new Captured();
  const scripted = scriptedModel((request) => model.answer(request));
  const options: AppOptions = {
    version: '0.0.0-bench',
    home: join(dir, 'home'),
    workspace,
    template: dir,
    host: '127.0.0.1',
    port: 0,
    token: () => TOKEN,
    env: { PATH: process.env['PATH'], HOME: dir, TOY_KEY: 'a-key-0123456789' },
    platform: 'linux',
    machine: { arch: process.arch, uid: process.getuid?.() ?? -1 },
    log: quiet,
    system: { clock, ids: systemIds, random: { bytes: systemRandom.bytes, number: () => 0 } },
    builtin: { ...BUILTIN, tools: [...BUILTIN.tools, ...officeTools(world)], messengers: [toyMessenger] },
    wrap: {
      net: () => net,
      ...(commands ? {} : { sandbox: async () => NO_COMMANDS }),
      models: (open) => ({ ...open(), choices: () => [scripted.choice()], prepare: async () => {} }),
    },
  };
  platform.sent.length = 0;
  const begin = async () => {
    platform.host = Promise.withResolvers<ChannelHost>();
    const app = await startApp(options);
    return { app, host: await platform.host.promise };
  };
  let { app, host } = await begin();
  const asked: string[] = [];
  const idle = () => settle(app.runtime, person, asked);
  let count = 0;
  /** Where the owner writes, and is answered. */
  const chats = new Set<string>();
  const write = async (sender: string, text: string, more: { chat?: string; foreign?: true } = {}): Promise<void> => {
    const { chat = sender, foreign } = more;
    const externalId = `m${(count += 1)}`;
    await host.deliver({ sender, chat, text, files: [], replyTo: chat, externalId, ...(foreign && { foreign }) });
  };

  return {
    world,
    /** What was told to somebody other than the owner. */
    told: () =>
      platform.sent
        .filter(({ to }) => to !== OWNER && !chats.has(to))
        .map(({ to, part }) => ({ by: 'told', what: `${to} ${textOf(part)}` })),
    asked,
    workspace,
    async play(step: Step): Promise<void> {
      if ('agent' in step) return model.does(step.agent, step.do, step.ends);
      if ('summary' in step) return void (model.summary = step.summary);
      if ('say' in step) {
        const { to = 'assistant', session, foreign } = step;
        model.does(to, step.do ?? []);
        if (session) chats.add(session);
        await write(OWNER, `@${to} ${step.say}`, { ...(session && { chat: session }), ...(foreign && { foreign }) });
      } else if ('stranger' in step) await strange(host, write, step);
      else if ('restart' in step) {
        await app.close('a restart');
        ({ app, host } = await begin());
      } else if ('endorses' in step) await vouchFor(app.runtime, step);
      else if ('revokes' in step) await revoke(app.runtime, step.revokes);
      else if ('commits' in step) await commit(workspace, step.commits);
      else clock.leap(step.wait);
      await idle();
    },
    async close(): Promise<void> {
      await app.close('the case is over');
      net.close();
      site.closeAllConnections();
      site.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export type Stage = Awaited<ReturnType<typeof openStage>>;

const textOf = (part: (typeof platform.sent)[number]['part']): string =>
  part.kind === 'text' ? part.text : `${part.file.name} ${Buffer.from(part.file.bytes).toString('utf8')}`;

async function strange(
  host: ChannelHost,
  write: (sender: string, text: string, more: { chat: string }) => Promise<void>,
  { stranger, press }: { stranger: string; press?: RegExp },
): Promise<void> {
  const shown = platform.sent.flatMap(({ part }) => (part.kind === 'text' ? part.buttons : []));
  for (const { label, action } of shown)
    if (press?.test(label))
      await host.press({ sender: 'U0STRANGER', chat: OWNER, replyTo: OWNER, action, externalId: action });
  await write('U0STRANGER', stranger, { chat: OWNER });
}

async function commit(workspace: string, files: Readonly<Record<string, string>>): Promise<void> {
  const { execFileSync } = await import('node:child_process');
  const { mkdirSync, writeFileSync } = await import('node:fs');
  const { dirname } = await import('node:path');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(workspace, path)), { recursive: true });
    writeFileSync(join(workspace, path), text);
  }
  const git = (...args: string[]): void =>
    void execFileSync('git', ['-C', workspace, '-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', ...args]);
  git('add', '-A');
  git('commit', '-q', '--allow-empty', '-m', 'by hand');
}

const noCommands = () => Promise.reject(new Error('this case runs no commands'));

/** Where no command is run, none is prepared for: it takes half of a start. */
const NO_COMMANDS: Sandbox = {
  name: 'none here',
  confined: true,
  exec: noCommands,
  adopt: noCommands,
  find: async () => 'absent',
  forget: async () => undefined,
  list: async () => [],
};

type Runtime = Awaited<ReturnType<typeof startApp>>['runtime'];

async function vouchFor({ standing }: Runtime, { endorses: value, name }: { endorses: string; name?: string }) {
  const done = await standing.endorse({ value, name: name ?? null }, 'person:owner');
  if (!done.ok) throw new Error(done.message);
}

async function revoke({ standing }: Runtime, what: 'endorsements' | 'grants'): Promise<void> {
  for (const { id } of await standing[what]())
    await (what === 'grants'
      ? standing.revokeGrant(id, 'person:owner')
      : standing.revokeEndorsement(id, 'person:owner'));
}

/** Until nothing is under way, the person answers what they are asked. */
async function settle(runtime: Runtime, person: Person, asked: string[]): Promise<void> {
  const answered = new Set<string>();
  for (let quietFor = 0; quietFor < 3;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const { tasks } = await runtime.status();
    const open = (await runtime.pending()).filter(({ id }) => !answered.has(id));
    for (const wait of open) {
      answered.add(wait.id);
      asked.push(`${wait.text}\n${wait.reason}`);
      if (wait.kind === 'question') await runtime.answer(wait.id, 'no', 'person:owner');
      else {
        const { verdict, answering } = person(wait);
        const done = await runtime.approve(wait.id, verdict, 'person:owner', answering);
        if (!done.ok) throw new Error(done.message);
      }
    }
    quietFor = open.length === 0 && tasks.running === 0 && tasks.queued === 0 ? quietFor + 1 : 0;
  }
}
