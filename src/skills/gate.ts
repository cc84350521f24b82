import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Agent, Governance } from '../core/agent.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { OfferedSkill, SkillNeeds } from '../core/skill.ts';
import { isProgram } from './parse.ts';

export interface GateOptions {
  /** `process.platform`. */
  platform: string;
  /** PATH of the sandbox: what the runtime has on its own counts for nothing. */
  path: string;
  /** Whether a variable is set; its value is nobody's business. */
  hasVariable(name: string): boolean;
  clock: Pick<Clock, 'now'>;
}

export interface Gate {
  /** Why a skill cannot work here, in words; empty if it can. */
  missing(needs: SkillNeeds, settings: object): Promise<string[]>;
}

/** Milliseconds a look for a program counts: somebody may install it while the network runs. */
const FRESH_MS = 30_000;

export function openGate({ platform, path, hasVariable, clock }: GateOptions): Gate {
  const looks = new Map<string, { at: number; found: Promise<boolean> }>();
  const has = (program: string): Promise<boolean> => {
    const known = looks.get(program);
    if (known && Math.abs(clock.now() - known.at) < FRESH_MS) return known.found;
    const found = findProgram(program, path);
    looks.set(program, { at: clock.now(), found });
    return found;
  };
  return {
    async missing({ bins, anyBins, env, config, os, always }, settings) {
      if (os.length > 0 && !os.includes(platform)) return [`only on ${os.join(', ')}`];
      if (always) return [];
      const reasons: string[] = [];
      for (const bin of bins) if (!(await has(bin))) reasons.push(`needs \`${bin}\`, not installed`);
      const any = await Promise.all(anyBins.map(has));
      if (any.length > 0 && !any.includes(true))
        reasons.push(`needs one of ${anyBins.map((bin) => `\`${bin}\``).join(', ')}, none is installed`);
      for (const name of env) if (!hasVariable(name)) reasons.push(`needs the environment variable ${name}`);
      for (const key of config) if (!configured(settings, key)) reasons.push(`needs the setting ${key}`);
      return reasons;
    },
  };
}

async function findProgram(name: string, path: string): Promise<boolean> {
  if (!isProgram(name)) return false;
  for (const dir of path.split(delimiter)) {
    const full = join(dir, name);
    const runs = await access(full, constants.X_OK).then(
      async () => (await stat(full)).isFile(),
      () => false,
    );
    if (runs) return true;
  }
  return false;
}

/** Whether a dotted path leads to something in the settings; lists are gone through by `name`. */
function configured(settings: object, key: string): boolean {
  let here: unknown = settings;
  for (const step of key.split('.')) {
    if (here === null || typeof here !== 'object') return false;
    if (Array.isArray(here)) here = here.find((item: unknown) => (item as { name?: unknown } | null)?.name === step);
    else here = Object.hasOwn(here, step) ? (here as Record<string, unknown>)[step] : undefined;
  }
  return Boolean(here);
}

/** The agent's skills that can work on this machine, in the order of their names. */
export async function offeredSkills(gate: Gate, governance: Governance, agent: Agent): Promise<OfferedSkill[]> {
  const mine = governance.skills.filter(({ name }) => agent.skills?.includes(name));
  const missing = await Promise.all(mine.map(({ needs }) => gate.missing(needs, governance.settings)));
  return mine
    .filter((_skill, index) => missing[index]?.length === 0)
    .map(({ name, description, main }) => ({ name, description, path: `skills/${name}/${main}` }));
}
