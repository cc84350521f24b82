import { explainSchedule, overSchedule } from '../config/schedule-words.ts';
import type { Known } from '../config/settings.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { SkillRules } from '../core/ports/skill-rules.ts';
import { machineZone } from '../platform/system.ts';
import { skillRules } from '../skills/judge.ts';
import { openGovernanceReader } from '../workspace/governance/reader.ts';
import type { OpenWorkspace } from '../workspace/workspace.ts';

/** Reads what governs a workspace, and judges it by what can be named there: for the network, the doctor and the list of skills alike. */
export const openGovernance = (
  workspace: OpenWorkspace,
  { known, bundled, clock }: { known: Known; bundled: SkillRules['bundled']; clock: Clock },
) =>
  workspace.plainly(
    openGovernanceReader({
      ...known,
      git: workspace.git,
      skills: { ...workspace, rules: skillRules(bundled) },
      explain: explainSchedule(clock, machineZone),
      over: overSchedule(clock, machineZone),
    }),
  );
