// Stands in for `node:test` while mutants are tried: the cases of a file are collected and then run one at a time, as often as needed.

type Step = () => unknown;
interface Context {
  name: string;
  after(step: Step): void;
}
type Body = (context: Context) => unknown;
interface Options {
  skip?: boolean | string;
  todo?: boolean | string;
}

export interface Case {
  name: string;
  run(): Promise<void>;
}

export interface Suite {
  cases: Case[];
  before: Step[];
  after: Step[];
}

let current: Suite = { cases: [], before: [], after: [] };

/** What a file of tests declares while it loads. */
export async function collect(load: () => Promise<unknown>): Promise<Suite> {
  const suite: Suite = { cases: [], before: [], after: [] };
  current = suite;
  await load();
  return suite;
}

export function test(name: string, ...rest: [Body] | [Options, Body]): void {
  const body = rest.at(-1) as Body;
  const options = rest.length === 2 ? rest[0] : {};
  if (options.skip || options.todo) return;
  current.cases.push({ name, run: () => runCase(name, body) });
}

export function describe(_name: string, declare: Step): void {
  declare();
}

export const before = (step: Step): void => void current.before.push(step);
export const after = (step: Step): void => void current.after.push(step);

async function runCase(name: string, body: Body): Promise<void> {
  const afterwards: Step[] = [];
  try {
    await body({ name, after: (step) => void afterwards.push(step) });
  } finally {
    for (const step of afterwards) await step();
  }
}
