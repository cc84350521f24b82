// Twenty tasks of an office, as an agent would do them: what people write, and what it calls.

export type Call = readonly [tool: string, args: Readonly<Record<string, string>>];
/** One answer of the model: its calls, and files that it needs to have read; those that it still has before it are not read again. */
export interface Step {
  calls?: readonly Call[];
  needs?: readonly string[];
}

export interface OfficeTurn {
  /** Minutes since the last answer. */
  quiet: number;
  says: string;
  /** Pictures that come with it, by their size. */
  pictures?: readonly (readonly [width: number, height: number])[];
  steps: readonly Step[];
  reply: string;
}

export interface OfficeTask {
  name: string;
  files: Readonly<Record<string, string>>;
  turns: readonly OfficeTurn[];
}

const WORDS =
  'the of and to in for order please invoice team next week report customer delivery date price amount due account project meeting plan budget since office review contract clause supplier payment receipt number total open note change request status because before after could should will between every several first second larger smaller Berlin Lyon March Tuesday'.split(
    ' ',
  );

/** The same words for the same seed. */
function prose(seed: number, words: number): string {
  let state = seed * 2_654_435_761 + 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const lines: string[] = [];
  for (let left = words; left > 0; left -= 14) {
    const line = Array.from({ length: Math.min(14, left) }, () => WORDS[next(WORDS.length)]);
    lines.push(`${line.join(' ')} ${next(9_000) + 1_000}.`);
  }
  return lines.join('\n');
}

/** A file begins with its name, by which the model knows that it has read it. */
const file = (path: string, seed: number, words: number): [string, string] => [
  path,
  `# ${path}\n${prose(seed, words)}\n`,
];

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const folder = (of: string, count: number, words: number, seed = 1): Record<string, string> =>
  Object.fromEntries(range(count).map((n) => file(`${of}/${n}.md`, seed * 1_000 + n, words + ((n * 37) % words))));
const pathsOf = (of: string, from: number, to: number): string[] => range(to - from).map((n) => `${of}/${from + n}.md`);
/** Reads so many files at once until all are read. */
const reads = (paths: readonly string[], atOnce = 1): Step[] =>
  range(Math.ceil(paths.length / atOnce)).map((n) => ({
    calls: paths.slice(n * atOnce, (n + 1) * atOnce).map((path): Call => ['read', { path }]),
  }));
const writes = (path: string, words: number): Step => ({
  calls: [['write', { path, content: `# ${path}\n${prose(words, words)}\n` }]],
});
const lists = (path: string): Step => ({ calls: [['list', { path }]] });
const searches = (text: string): Step => ({ calls: [['search', { pattern: text }]] });
const again = (...needs: string[]): Step => ({ needs });
const turn = (quiet: number, says: string, steps: readonly Step[], reply = prose(says.length, 60)): OfficeTurn => ({
  quiet,
  says,
  steps,
  reply,
});
const task = (name: string, files: Readonly<Record<string, string>>, ...turns: readonly OfficeTurn[]): OfficeTask => ({
  name,
  files,
  turns,
});

const csv = (path: string, rows: number, seed: number): [string, string] => [
  path,
  `# ${path}\n${range(rows)
    .map((n) => `${seed + n};${WORDS[(n * 7) % WORDS.length]} Ltd;${(n * 137) % 5_000}.00;open`)
    .join('\n')}\n`,
];

export const TASKS: readonly OfficeTask[] = [
  task(
    'sort the morning mail',
    folder('mail', 30, 150),
    turn(0, 'Sort the new mail in mail/ by what has to be done, into triage.md.', [
      lists('mail'),
      ...reads(pathsOf('mail', 0, 30), 5),
      writes('triage.md', 300),
    ]),
  ),
  task(
    'mail again the next day',
    folder('post', 34, 150, 2),
    turn(0, 'Which mails in post/ need an answer?', [lists('post'), ...reads(pathsOf('post', 0, 24), 4)]),
    turn(14 * 60, 'And the ten that came since?', [lists('post'), ...reads(pathsOf('post', 24, 34), 5)]),
    turn(3, 'What did number 3 want again? Draft an answer.', [again('post/3.md'), writes('answer.md', 120)]),
  ),
  task(
    'summarise a long report',
    folder('chapters', 25, 1_200, 3),
    turn(0, 'Summarise the report in chapters/, chapter by chapter, into summary.md.', [
      lists('chapters'),
      ...range(25).flatMap((n) => [...reads([`chapters/${n}.md`]), writes(`summary-${n}.md`, 80)]),
    ]),
  ),
  task(
    'enter a folder of invoices',
    Object.fromEntries([...Object.entries(folder('invoices', 40, 60, 4)), csv('ledger.csv', 80, 100)]),
    turn(0, 'Enter every invoice of invoices/ into ledger.csv.', [
      lists('invoices'),
      ...range(10).flatMap((n): Step[] => [
        ...reads(pathsOf('invoices', n * 4, n * 4 + 4), 4),
        ...reads(['ledger.csv']),
        writes(`entries-${n}.csv`, 50),
      ]),
    ]),
  ),
  task(
    'search for what is overdue',
    folder('cases', 30, 200, 5),
    turn(
      0,
      'Go through the cases and tell me which invoices are open and which contracts are.',
      range(12).flatMap((n): Step[] => [searches(n % 3 === 0 ? 'invoice' : 'contract'), ...reads([`cases/${n}.md`])]),
    ),
  ),
  task(
    'prepare a meeting, with pauses',
    folder('notes', 18, 350, 6),
    ...range(6).map((n) =>
      turn(n === 0 ? 0 : 30, `Point ${n + 1} of the agenda: what do the notes say?`, [
        ...reads(pathsOf('notes', n * 3, n * 3 + 3)),
      ]),
    ),
  ),
  task(
    'compare two contracts',
    Object.fromEntries([file('old-contract.md', 71, 1_900), file('new-contract.md', 72, 1_950)]),
    ...range(5).map((n) =>
      turn(n === 0 ? 0 : 2, `Compare clause ${n + 1} of the old and the new contract.`, [
        ...reads(['old-contract.md', 'new-contract.md'], 2),
      ]),
    ),
  ),
  task(
    'questions about the handbook',
    Object.fromEntries([file('handbook.md', 81, 1_700)]),
    ...range(8).map((n) =>
      turn(n === 0 ? 0 : 1, `What does the handbook say about ${WORDS[n + 20]}?`, reads(['handbook.md'])),
    ),
  ),
  {
    name: 'plan a journey from pictures',
    files: folder('journey', 6, 300, 9),
    turns: [
      {
        ...turn(0, 'Here are the timetables. When do I have to leave?', reads(pathsOf('journey', 0, 3))),
        pictures: [
          [3_000, 2_000],
          [1_600, 1_200],
        ],
      },
      turn(4, 'And the hotel?', reads(pathsOf('journey', 3, 6))),
      turn(20, 'Write it down.', [writes('journey.md', 150)]),
    ],
  },
  {
    name: 'receipts, one picture each',
    files: Object.fromEntries([csv('expenses.csv', 60, 300)]),
    turns: range(6).map((n): OfficeTurn => ({
      ...turn(
        n === 0 ? 0 : 3,
        'Enter this receipt.',
        [...reads(['expenses.csv']), writes(`expense-${n}.csv`, 15)],
        'Entered.',
      ),
      pictures: [[1_200, 1_600]],
    })),
  },
  task(
    'the week in review',
    folder('log', 7, 900, 11),
    turn(0, 'Write the review of the week from log/.', [
      lists('log'),
      ...reads(pathsOf('log', 0, 7)),
      writes('review.md', 400),
    ]),
  ),
  task(
    'clean a list of customers',
    Object.fromEntries([csv('customers.csv', 400, 1_000)]),
    turn(
      0,
      'Mark the customers of customers.csv that have paid, step by step.',
      range(10).flatMap((n): Step[] => [
        ...reads(['customers.csv']),
        {
          calls: [
            [
              'edit',
              {
                path: 'customers.csv',
                old: `${1_000 + n * 3};${WORDS[(n * 3 * 7) % WORDS.length]} Ltd;${(n * 3 * 137) % 5_000}.00;open`,
                new: `${1_000 + n * 3};${WORDS[(n * 3 * 7) % WORDS.length]} Ltd;${(n * 3 * 137) % 5_000}.00;paid`,
              },
            ],
          ],
        },
      ]),
    ),
  ),
  task(
    'translate ten pages',
    folder('pages', 10, 500, 13),
    turn(0, 'Translate pages/ into German.', [
      lists('pages'),
      ...range(10).flatMap((n): Step[] => [...reads([`pages/${n}.md`]), writes(`german-${n}.md`, 700)]),
    ]),
  ),
  task(
    'minutes of a long meeting',
    folder('transcript', 14, 900, 14),
    turn(0, 'Write the minutes from transcript/.', [
      ...reads(pathsOf('transcript', 0, 14), 2),
      writes('minutes.md', 500),
    ]),
    turn(12, 'Who promised what? Look at the last part again.', [
      again('transcript/13.md'),
      writes('promises.md', 120),
    ]),
  ),
  task(
    'fifteen applications',
    folder('applications', 15, 500, 15),
    turn(0, 'Who fits the post best?', [lists('applications'), ...reads(pathsOf('applications', 0, 15), 3)]),
    turn(60, 'Compare number 4 and number 9 for me.', [again('applications/4.md', 'applications/9.md')]),
    turn(2, 'Invite number 9.', [writes('invitation.md', 150)]),
  ),
  task(
    'review of the press',
    folder('press', 20, 600, 16),
    turn(0, 'What does the press say about us?', [lists('press'), ...reads(pathsOf('press', 0, 20), 4)]),
    turn(1, 'And about our competitor?', [searches('supplier')]),
    turn(1, 'The article with the larger number: quote it.', [again('press/12.md')]),
    turn(1, 'Thank you. Save all that.', [writes('press.md', 300)]),
  ),
  task(
    'check the budget across three tables',
    Object.fromEntries([csv('plan.csv', 250, 1), csv('actual.csv', 250, 1), csv('orders.csv', 250, 1)]),
    turn(
      0,
      'Where do plan, actual and orders differ?',
      range(6).flatMap((): Step[] => [...reads(['plan.csv', 'actual.csv'], 2), ...reads(['orders.csv'])]),
    ),
    turn(3, 'Write down the three largest.', [again('plan.csv', 'actual.csv'), writes('differences.md', 100)]),
  ),
  task(
    'small talk',
    {},
    ...range(10).map((n) => turn(n === 0 ? 0 : 1, `Question ${n + 1}: how do I say that more politely?`, [])),
  ),
  task(
    'how it stands, every hour',
    folder('board', 12, 250, 19),
    ...range(8).map((n) =>
      turn(n === 0 ? 0 : 60, 'How does it stand?', [
        lists('board'),
        searches('status'),
        ...reads([`board/${n}.md`, 'board/11.md'], 2),
      ]),
    ),
  ),
  task(
    'a long day on one project',
    folder('project', 60, 1_000, 20),
    ...range(6).map((n) =>
      turn(n === 0 ? 0 : n === 3 ? 60 : 3, `Part ${n + 1}: read what is new, and go on with the plan.`, [
        ...reads(pathsOf('project', n * 10, n * 10 + 10)),
        again(`project/${n * 8}.md`),
        writes(`plan-${n}.md`, 250),
      ]),
    ),
  ),
];
