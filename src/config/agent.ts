import type { Agent, Problem } from '../core/agent.ts';
import { isAgentName } from '../core/ids.ts';
import { TIERS } from '../core/model.ts';
import { budgetOf } from './budget-schema.ts';
import { TOOLS_LATER, agentSchema } from './schemas.ts';
import { checkRules, toRule } from './settings.ts';
import type { KnownToAgent } from './settings.ts';
import { recipientProblem } from './recipients.ts';
import { routingProblems } from './routing-schema.ts';
import { sandboxOf } from './sandbox.ts';
import { reachesOf } from './network-schema.ts';
import { readSchedules } from './schedules.ts';
import { readTriggers } from './triggers.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { listed, validate } from './validate.ts';
import { decodeText, parseYaml, problem } from './yaml-source.ts';
import type { YamlSource } from './yaml-source.ts';

/** Characters of front matter: parsing costs time, and agents may write these files. */
const MAX_FRONT = 64 * 1024;

type Split =
  | { ok: true; front: string; prose: string; firstLine: number }
  | { ok: false; line: number; message: string };

/** Parts an AGENT.md: front matter between two lines `---`, prose below. */
export function splitFrontMatter(text: string): Split {
  const fence = /^---[ \t]*$/;
  const lines = text.split('\n');
  if (!fence.test(lines[0] ?? ''))
    return { ok: false, line: 1, message: 'must begin with a line `---`, the front matter and another line `---`' };
  const end = lines.findIndex((line, at) => at > 0 && fence.test(line));
  if (end < 0) return { ok: false, line: 1, message: 'the front matter that begins here has no closing line `---`' };
  const front = lines.slice(1, end).join('\n');
  if (front.length > MAX_FRONT)
    return {
      ok: false,
      line: 1,
      message: `the front matter has ${front.length} characters; ${MAX_FRONT} are allowed`,
    };
  const prose = lines.slice(end + 1).join('\n');
  return { ok: true, front, prose, firstLine: 2 };
}

/** The front matter as parsed, so that two of them can be compared. Null if it cannot be read. */
export function frontMatter(input: string | Uint8Array): Record<string, unknown> | null {
  const decoded = decodeText(input, '');
  const split = decoded.ok ? splitFrontMatter(decoded.text) : null;
  if (!split?.ok) return null;
  const source = parseYaml(split.front, '');
  if (source.problems.length > 0) return null;
  if (source.value === null) return {};
  return typeof source.value === 'object' && !Array.isArray(source.value)
    ? (source.value as Record<string, unknown>)
    : null;
}

/** The role and instructions in an AGENT.md, as the agent reads them. Null if it cannot be parted. */
export function instructionsOf(input: Uint8Array): string | null {
  const decoded = decodeText(input, '');
  const split = decoded.ok ? splitFrontMatter(decoded.text) : null;
  return split?.ok === true ? split.prose.trim() : null;
}

function checkModel(model: string, known: Pick<KnownToAgent, 'providers'>): string | null {
  if ((TIERS as readonly string[]).includes(model)) return null;
  const name = model.slice(0, model.indexOf('/'));
  if (known.providers.includes(name)) return null;
  return `names the provider "${name}", which ruche.yaml does not have. Known: ${listed(known.providers)}, and the tiers ${TIERS.join(', ')}.${didYouMean(name, known.providers)}`;
}

function checkChain(name: string | undefined, { chains }: Pick<KnownToAgent, 'chains'>): string | null {
  if (name === undefined || chains.includes(name)) return null;
  const known = chains.length === 0 ? 'It has none' : `Known: ${listed(chains)}`;
  return `names the chain "${name}", which is not under escalation in ruche.yaml. ${known}.${didYouMean(name, chains)}`;
}

function checkTools(tools: readonly string[], known: readonly string[], source: YamlSource, file: string): Problem[] {
  return tools.flatMap((tool, index) => {
    if (known.includes(tool)) return [];
    const path = ['tools', index];
    const soon = (TOOLS_LATER as readonly string[]).includes(tool);
    const said = soon
      ? `the tool "${tool}" is known, but not built yet: the agent goes without it`
      : `there is no tool "${tool}".${didYouMean(tool, known) || ` Known: ${listed(known)}.`}`;
    return [problem(file, source.lineOf(path), path.join('.'), said, soon ? 'warning' : 'error')];
  });
}

const accountProblems = (
  given: readonly string[],
  known: readonly string[],
  source: YamlSource,
  file: string,
): Problem[] =>
  given.flatMap((name, index) => {
    if (known.includes(name)) return [];
    const path = ['accounts', index];
    const there = known.length === 0 ? 'It has none' : `Known: ${listed(known)}`;
    const said = `names the account "${name}", which is not under accounts in ruche.yaml. ${there}.${didYouMean(name, known)}`;
    return [problem(file, source.lineOf(path), path.join('.'), said)];
  });

const onlyNarrow = (path: readonly (string | number)[], key: string): string | null =>
  path[0] === 'rules' && key === 'allow'
    ? 'is not possible here: the rules of an agent may only narrow (ask, deny); put what is allowed in ruche.yaml'
    : null;

const noScripts = (tool: string): string =>
  `cannot run: a script is run by the tool \`${tool}\`, which this agent does not have; add it to tools`;

/** Reads an AGENT.md. `agent` is null if there is an error; warnings leave it usable. */
export function parseAgent(
  input: string | Uint8Array,
  file: string,
  name: string,
  known: KnownToAgent,
): { agent: Agent | null; problems: Problem[] } {
  const refuse = (...problems: Problem[]): { agent: null; problems: Problem[] } => ({ agent: null, problems });
  if (!isAgentName(name)) return refuse(nameProblem(file, name));
  const decoded = decodeText(input, file);
  if (!decoded.ok) return refuse(decoded.problem);
  const split = splitFrontMatter(decoded.text);
  if (!split.ok) return refuse(problem(file, split.line, '', split.message));
  const source = parseYaml(split.front, file, split.firstLine);
  if (source.problems.length > 0) return refuse(...source.problems);
  const { value, problems } = validate(agentSchema, source, file, onlyNarrow);
  const warnings: Problem[] = [];
  if (!value) return refuse(...problems, ...warnings);

  const model = value.model ?? 'standard';
  const wrongModel = checkModel(model, known);
  if (wrongModel !== null) problems.push(problem(file, source.lineOf(['model']), 'model', wrongModel));
  if (value.routing !== undefined)
    problems.push(...routingProblems(value.routing, ['routing'], new Set(known.providers), { source, file }));
  const all = known.tools.map((tool) => tool.name);
  const tools = value.tools ?? known.tools.filter(({ onDemand }) => onDemand !== true).map(({ name }) => name);
  for (const found of checkTools(tools, all, source, file))
    (found.severity === 'warning' ? warnings : problems).push(found);
  const rules = value.rules ?? [];
  for (const found of checkRules(rules, source, file, ['rules'], known))
    (found.severity === 'warning' ? warnings : problems).push(found);
  const wrongChain = checkChain(value.escalation, known);
  if (wrongChain !== null) problems.push(problem(file, source.lineOf(['escalation']), 'escalation', wrongChain));
  problems.push(...accountProblems(value.accounts ?? [], known.accounts ?? [], source, file));
  const sandbox = sandboxOf(value, known.sandboxes, source, file, known.sandbox);
  problems.push(...sandbox.problems);
  const timed = readSchedules(value.schedules ?? [], source, file);
  const triggered = readTriggers(value.triggers ?? [], source, file, value.accounts ?? []);
  problems.push(...timed.problems, ...triggered.problems);
  const runner = known.tools.find(({ usualFor }) => usualFor === 'commands')?.name;
  if (runner !== undefined && !tools.includes(runner))
    for (const kind of ['schedules', 'triggers'] as const)
      for (const [index, { run }] of (value[kind] ?? []).entries())
        if (run !== undefined)
          warnings.push(
            problem(file, source.lineOf([kind, index, 'run']), `${kind}.${index}.run`, noScripts(runner), 'warning'),
          );
  for (const kind of ['schedules', 'triggers'] as const)
    for (const [index, { to }] of (value[kind] ?? []).entries()) {
      const path = [kind, index, 'to'];
      const lost = to === undefined ? null : recipientProblem(to, known.recipients);
      // It works all the same, and its answer is on record; a channel that goes must not take the agent with it.
      if (lost !== null) warnings.push(problem(file, source.lineOf(path), path.join('.'), lost, 'warning'));
    }
  if (problems.length > 0) return refuse(...problems, ...warnings);
  return {
    agent: {
      name,
      description: value.description ?? '',
      model,
      ...(value.routing === undefined ? {} : { routing: value.routing }),
      tools: [...new Set(tools)].filter((tool) => all.includes(tool)),
      ...(value.skills === undefined ? {} : { skills: [...new Set(value.skills)].sort() }),
      ...(value.accounts === undefined ? {} : { accounts: [...new Set(value.accounts)].sort() }),
      rules: rules.map(toRule),
      network: value.network === undefined ? null : reachesOf(value.network),
      ...(sandbox.choice === undefined ? {} : { sandbox: sandbox.choice }),
      schedules: timed.schedules,
      ...(triggered.triggers.length === 0 ? {} : { triggers: triggered.triggers }),
      ...(value.escalation === undefined ? {} : { escalation: value.escalation }),
      ...(value.budget === undefined ? {} : { budget: budgetOf(value.budget) }),
      instructions: split.prose.trim(),
    },
    problems: warnings,
  };
}

export const nameProblem = (file: string, name: string): Problem =>
  problem(
    file,
    null,
    '',
    `"${name}" cannot be the name of an agent: use small letters, digits and "-", beginning with a letter, at most 63`,
  );
