import type { Problem } from '../agent.ts';
import type { SkillFile, SkillText } from '../skill.ts';

export interface SkillJudgement {
  /** Null if there is an error among the problems. */
  text: SkillText | null;
  /** Errors and oddities of the format. */
  problems: Problem[];
  /** What a person should look at closely before saying yes: a download piped into a shell, hidden characters … */
  flags: Problem[];
}

/** The format's own rules, and what comes with the package. */
export interface SkillRules {
  /** `at`: the folder as problems name it. */
  judge(name: string, files: readonly SkillFile[], at: string): SkillJudgement;
  bundled: ReadonlyMap<string, readonly SkillFile[]>;
}
