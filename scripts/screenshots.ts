// Takes the pictures of docs/screenshots: the real process, a small company, and a model that follows a script.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { Home } from '../test/fakes/home.ts';
import { withPalette } from './png.ts';
import { chunk, DONE, modelServer, type RawAnswer, type RawRequest } from '../test/fakes/model-server.ts';

const FOLDER = join(import.meta.dirname, '..', 'docs', 'screenshots');
const MODEL = 'claude-sonnet-5-5';

type Call = readonly [tool: string, args: Record<string, string | boolean>];

const TABLE = `Three invoices are **overdue**, in all **€ 4,310.00**.

| Invoice  | Customer       | Due    |   Amount |
| -------- | -------------- | ------ | -------: |
| 2026-081 | Librairie Morel | 3 Nov  | 1,250.00 |
| 2026-084 | Atelier Berger | 9 Nov  | 2,480.00 |
| 2026-090 | Café du Pont   | 15 Nov |   580.00 |

I wrote a reminder for each to \`shared/reminders.md\`. Nothing has been sent.`;

const REMINDERS = `# Reminders

- Librairie Morel: 2026-081, € 1,250.00, due 3 November
- Atelier Berger: 2026-084, € 2,480.00, due 9 November
- Café du Pont: 2026-090, € 580.00, due 15 November
`;

/** What is asked, the calls that follow, and the answer. A question without an answer is still being worked on. */
const SCRIPT: readonly (readonly [asked: string, calls: readonly Call[], answer: string | null])[] = [
  [
    'Which invoices are overdue, and what do they add up to?',
    [
      ['search', { pattern: 'due: 2026-11', path: 'invoices' }],
      ['shell', { command: "awk -F'[: ]+' '/^amount/ {sum += $2} END {print sum}' invoices/*.md" }],
      ['write', { path: 'shared/reminders.md', content: REMINDERS }],
    ],
    TABLE,
  ],
  [
    'Look up the current interest on late payments',
    [
      ['read', { path: 'inbox/letter-berger.md' }],
      ['fetch', { url: 'https://rates.example.org/late-payment?country=fr' }],
    ],
    'Done.',
  ],
  [
    'Order paper for the winter catalogue',
    [['ask', { question: 'Which paper: 90 g recycled, or 120 g matt?' }]],
    'Done.',
  ],
  [
    'Write the note for the Friday meeting',
    [['write', { path: 'shared/friday.md', content: '# Friday\n\n1. Overdue invoices\n2. Winter catalogue\n' }]],
    'The note is in `shared/friday.md`.',
  ],
  ['Are last night’s backups whole?', [['shell', { command: 'ls backups | wc -l' }]], 'Yes: seven of seven.'],
  ['What did the shop sell in October?', [['read', { path: 'sales/october.csv' }]], '412 orders, € 18,240 in all.'],
  ['Check the opening hours on the site', [['read', { path: 'site/hours.md' }]], 'They are right.'],
  ['Sum up the week for the newsletter', [['list', { path: 'shared' }]], null],
  [
    'Bill the winter catalogue, and tell the customer',
    [
      ['write', { path: 'shared/bill-winter.md', content: '# Bill\n\nAtelier Berger, winter catalogue: € 3,120.00\n' }],
      ['task', { action: 'create', agent: 'office', text: 'Write the letter that goes with the bill', wait: true }],
    ],
    'The bill is in `shared/bill-winter.md`; the letter is written.',
  ],
  [
    'Write the letter that goes with the bill',
    [
      ['write', { path: 'shared/letter-winter.md', content: 'Dear Atelier Berger, …\n' }],
      ['task', { action: 'create', agent: 'books', text: 'Check the amount in the letter', wait: true }],
    ],
    'The letter is in `shared/letter-winter.md`; the amount is right.',
  ],
  ['Check the amount in the letter', [['read', { path: 'shared/bill-winter.md' }]], 'Checked: € 3,120.00 in both.'],
];

const FILES: Record<string, string> = {
  'agents/office/AGENT.md':
    '---\ndescription: Runs the office of the print shop.\nschedules:\n  - { name: morning, cron: "15 8 * * 1-5", timezone: Europe/Paris, task: "Write what is due today." }\n---\nYou run the office.\n',
  'agents/books/AGENT.md': '---\ndescription: Keeps the books, watches what is due.\n---\nYou keep the books.\n',
  'agents/site/AGENT.md':
    '---\ndescription: Looks after the web site.\nmodel: expired/large\n---\nYou look after the site.\n',
  'invoices/2026-081.md': 'customer: Librairie Morel\namount: 1250\ndue: 2026-11-03\n',
  'invoices/2026-084.md': 'customer: Atelier Berger\namount: 2480\ndue: 2026-11-09\n',
  'invoices/2026-090.md': 'customer: Café du Pont\namount: 580\ndue: 2026-11-15\n',
  'inbox/letter-berger.md': 'Dear all, we will pay next month.\n',
  'sales/october.csv': 'orders,total\n412,18240\n',
  'site/hours.md': 'Mo-Fr 9-18\n',
  'backups/.keep': '',
};

interface Message {
  role: string;
  content: string | null;
  tool_calls?: unknown;
}

function play({ body }: RawRequest): RawAnswer {
  const messages = body['messages'] as Message[];
  const at = messages.findLastIndex(
    ({ role, content }) => role === 'user' && SCRIPT.some(([asked]) => content?.includes(asked)),
  );
  const [, calls = [], answer = 'Done.'] = SCRIPT.find(([asked]) => messages[at]?.content?.includes(asked)) ?? [];
  const made = messages.slice(at + 1).filter((message) => message.tool_calls !== undefined).length;
  const usage = {
    usage: {
      prompt_tokens: 2_180 + made * 460,
      completion_tokens: 96 + made * 40,
      total_tokens: 0,
      prompt_tokens_details: { cached_tokens: made * 2_048 },
    },
  };
  const next = calls[made];
  if (next) {
    const [name, args] = next;
    const tool_calls = [
      { index: 0, id: `call_${made}`, type: 'function', function: { name, arguments: JSON.stringify(args) } },
    ];
    return { pieces: [chunk({ role: 'assistant', content: null, tool_calls }), chunk({}, 'tool_calls', usage), DONE] };
  }
  if (answer === null)
    return {
      pieces: [chunk({ role: 'assistant', content: 'This week at the print shop:\n\n- the winter catalogue' })],
      end: 'hang',
    };
  return { pieces: [chunk({ role: 'assistant', content: answer }), chunk({}, 'stop', usage), DONE] };
}

async function company(): Promise<Home> {
  const server = await modelServer(play);
  const expired = await modelServer(() => ({
    status: 401,
    headers: { 'content-type': 'application/json' },
    pieces: ['{"error":{"message":"invalid key"}}'],
  }));
  const provider = (name: string, baseUrl: string): string =>
    `    ${name}: { type: openai-compatible, baseUrl: "${baseUrl}", apiKey: env:KEY }\n`;
  const yaml = `models:
  providers:
${provider('anthropic', server.baseUrl)}${provider('expired', expired.baseUrl)}  standard: [anthropic/${MODEL}]
policy:
  rules:
    - { id: letters, ask: { effect: write, path: "letters/**" }, reason: Letters go out under our name. }
`;
  return Home.up({
    env: { KEY: 'a-key-of-no-use' },
    beside: [server, expired],
    files: { ...FILES, 'ruche.yaml': yaml },
  });
}

/** The page once nothing in it is loading. */
async function open(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator('main h1').first().waitFor({ state: 'attached' });
  await page.locator('.loading').first().waitFor({ state: 'detached' });
  await page.waitForTimeout(300);
}

async function take(home: Home): Promise<void> {
  const link = home.url + (await home.api<{ path: string }>('/api/logins', {})).path;
  // Coloured edges of letters would need more colours than there are.
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-lcd-text'];
  const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args });
  try {
    const page = await browser.newPage({ viewport: { width: 1240, height: 760 }, colorScheme: 'light' });
    await page.goto(link);
    await page.waitForURL((url) => url.pathname === '/');
    const [first] = (await home.api<{ runs: { task: string; title: string }[] }>('/api/runs?text=overdue')).runs;
    const shoot = async (name: string): Promise<void> =>
      writeFileSync(join(FOLDER, `${name}.png`), withPalette(await page.screenshot()));

    const chat = `${home.url}/chat/books/overdue?steps=${first?.task}`;
    await open(page, chat);
    await page.locator('.beside summary', { hasText: 'awk' }).click();
    await shoot('chat-light');
    await open(page, `${home.url}/inbox`);
    await shoot('inbox');
    await open(page, `${home.url}/work`);
    await shoot('work');
    await open(page, `${home.url}/board`);
    await shoot('board');
    await open(page, `${home.url}/agents`);
    await shoot('agents');
    const [letter] = (await home.api<{ runs: { task: string }[] }>('/api/runs?agent=office&text=goes+with')).runs;
    await open(page, `${home.url}/work/${letter?.task}`);
    await shoot('chain');
    await page.emulateMedia({ colorScheme: 'dark' });
    await open(page, chat);
    await shoot('chat-dark');
    await page.setViewportSize({ width: 390, height: 780 });
    await open(page, `${home.url}/chat/books/interest`);
    await shoot('phone');
  } finally {
    await browser.close();
  }
}

mkdirSync(FOLDER, { recursive: true });
const home = await company();
try {
  const ask = async (text: string, session: string, agent: string): Promise<unknown> =>
    home.settled(await home.say(text, session, agent));
  const asked = SCRIPT.map(([text]) => text);
  await ask(asked[6] ?? '', 'hours', 'office');
  await ask(asked[4] ?? '', 'backups', 'office');
  await ask(asked[5] ?? '', 'october', 'books');
  await ask('Rebuild the price list from the catalogue', 'prices', 'site');
  await ask(asked[3] ?? '', 'friday', 'office');
  await ask(asked[2] ?? '', 'paper', 'office');
  await ask(asked[1] ?? '', 'interest', 'books');
  await ask(asked[8] ?? '', 'winter', 'books');
  await home.api('/api/agents/site/pause', { reason: 'The site moves to another server until Friday.' });
  await home.say('Put the new opening hours on the site', 'hours', 'site');
  await home.say(asked[7] ?? '', 'week', 'office');
  await ask(asked[0] ?? '', 'overdue', 'books');
  await take(home);
} finally {
  await home.close();
}
