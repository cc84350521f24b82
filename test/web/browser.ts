import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after } from 'node:test';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import type { CostDesk } from '../../src/core/api/costs.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { startGateway, type Gateway } from '../../src/gateway/server.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { ROOT } from '../guards/source.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { fakeJournal } from '../fakes/runtime.ts';
import { countingIds, realClock, recordedLog, TOKEN } from '../gateway/help.ts';
import { Scene } from './scene.ts';

/** Milliseconds that the page has to show what is waited for; more where all of it is slower. */
export const PATIENCE = Number(process.env.TEST_PATIENCE_MS ?? 300_000) / 10;

const found = spawnSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).stdout.trim();

/** For `test(name, { skip: noBrowser }, …)`. */
export const noBrowser = requirePeer('chromium', found !== '');

let browser: Promise<Browser> | null = null;
let built = '';

after(async () => {
  await (await browser)?.close();
});

/** The page as it is built for people, where a real process looks for it too; built anew if it is not from these sources. */
export function builtWeb(): string {
  if (built !== '') return built;
  const build = spawnSync(process.execPath, [join(ROOT, 'scripts', 'build.ts'), '--if-stale', '--web'], {
    encoding: 'utf8',
  });
  if (build.status !== 0) throw new Error(build.stderr);
  built = join(ROOT, 'dist', 'web');
  return built;
}

const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: found,
    // What would draw like a graphics card draws for nobody.
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--disable-gpu-compositing',
      '--disable-software-rasterizer',
    ],
  });

export interface Visit {
  page: Page;
  /** Addresses the page has asked for. */
  requests: string[];
  /** What went wrong in it: thrown errors, and what breaks the content security policy. */
  errors: string[];
}

export interface VisitOptions extends BrowserContextOptions {
  /** Where it begins; null for a page of nothing. Without it the link is opened as a person would. */
  at?: string | null;
}

/** A browser of its own, logged in by a link. */
export async function visit(
  loginLink: string,
  run: (visit: Visit) => Promise<void>,
  { at, ...options }: VisitOptions = {},
): Promise<void> {
  browser ??= launch();
  // Without motion: a page that draws without end takes the time of those who wait for it.
  const context = await (
    await browser
  ).newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) errors.push(message.text());
  });
  try {
    if (at === undefined) {
      await page.goto(loginLink);
      await page.waitForURL((url) => url.pathname === '/');
    } else {
      const { origin, hash } = new URL(loginLink);
      const data = { code: hash.slice(1) };
      const entered = await context.request.post(`${origin}/api/sessions`, { data, headers: { origin } });
      if (!entered.ok()) throw new Error(`the login failed: ${entered.status()}`);
      if (at !== null) await page.goto(origin + at);
    }
    if (at !== null) await page.locator('main').waitFor();
    await run({ page, requests, errors });
  } finally {
    await context.close();
  }
}

export interface Stage {
  scene: Scene;
  gateway: Gateway;
  /** By the link, to the first page. */
  open(run: (visit: Visit) => Promise<void>, options?: VisitOptions): Promise<void>;
  /** Logged in, with no page open yet. */
  enter(run: (visit: Visit) => Promise<void>, options?: VisitOptions): Promise<void>;
  /** Kills the gateway and starts it again on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Of a month in which one agent worked. */
const COSTS: CostDesk = {
  report: async ({ by }) => {
    const row = { name: by === 'model' ? 'scripted/large' : 'email', usd: 1.5, calls: 12, unpriced: 0 };
    const tokens = { input: 40_000, cached: 10_000, output: 2_000 };
    const days = Array.from({ length: 30 }, (_, at) => ({
      day: `2026-11-${String(at + 1).padStart(2, '0')}`,
      usd: at / 10,
    }));
    return {
      by,
      since: 0,
      sinceDay: '1970-01-01',
      until: 1,
      rows: [{ ...row, ...tokens }],
      total: { ...row, ...tokens },
      days,
      month: { usd: 1.5, projected: 4.5 },
      budgets: [{ scope: 'agent:email', meter: 'usd', window: 'day', limit: 2, spent: 1.5 }],
    };
  },
  correct: async () => ({ answers: 0, before: 0, after: 0 }),
};

/** The real gateway over a scripted engine. */
export async function withStage(
  run: (stage: Stage) => Promise<void>,
  scene = new Scene(),
  clock: Clock = realClock,
): Promise<void> {
  const web = builtWeb();
  const sessions = { keep: keepInMemory(), bytes: (length: number) => systemRandom.bytes(length) };
  let port = 0;
  const start = (): Promise<Gateway> =>
    startGateway({
      runtime: scene.runtime,
      views: scene.views,
      desk: scene.desk,
      policy: scene.ruled.desk,
      costs: COSTS,
      store: fakeJournal(),
      token: () => TOKEN,
      host: '127.0.0.1',
      port,
      clock,
      ids: countingIds(),
      log: recordedLog(),
      redact: (text) => text,
      sessions,
      web,
      limits: { closeMs: 200 },
    });
  const stage: Stage = {
    scene,
    gateway: await start(),
    open: (visiting, options) => visit(stage.gateway.loginLink() ?? '', visiting, options),
    enter: (visiting, options) => visit(stage.gateway.loginLink() ?? '', visiting, { at: null, ...options }),
    stop: () => stage.gateway.close(),
    async start() {
      stage.gateway = await start();
    },
  };
  port = stage.gateway.port;
  try {
    await run(stage);
  } finally {
    await stage.gateway.close();
  }
}

function keepInMemory() {
  let kept: { hash: string; until: number }[] = [];
  return {
    load: async () => kept,
    save: async (sessions: readonly { hash: string; until: number }[]) => {
      kept = [...sessions];
    },
  };
}
