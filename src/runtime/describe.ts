import type { Agent, Governance, Problem } from '../core/agent.ts';
import type { ModelChoice } from '../core/model.ts';
import type { AgentAbout, RuntimeStatus } from '../core/api/runtime.ts';

/** What the models' room knows, as far as people are told of it. */
interface Models {
  choices(modelOrTier: string): readonly Pick<ModelChoice, 'provider' | 'model'>[];
  describe(): Pick<RuntimeStatus, 'model' | 'demo' | 'offer'>;
  problems(): readonly Problem[];
}

export function describeAgents({ agents }: Governance, models: Models): AgentAbout[] {
  const names = (agent: Agent): string[] => models.choices(agent.model).map((each) => `${each.provider}/${each.model}`);
  return [...agents.values()].map((agent) => ({
    name: agent.name,
    description: agent.description,
    models: names(agent),
  }));
}

/** A file that was refused when it was saved is refused again when it is committed. */
const distinct = (problems: readonly Problem[]): Problem[] => {
  const key = ({ file, line, key: at, message }: Problem): string => JSON.stringify([file, line, at, message]);
  return [...new Map(problems.toReversed().map((problem) => [key(problem), problem])).values()].toReversed();
};

export function describeNetwork(
  { version, workspace, home }: { version: string; workspace: string; home: string },
  governance: Governance,
  models: Models,
  /** What is wrong with changes that therefore do not govern. */
  refused: readonly Problem[],
  /** What the files do not say, and only a look at machine and workspace shows. */
  live: readonly Problem[] = [],
): Pick<RuntimeStatus, 'version' | 'workspace' | 'home' | 'model' | 'demo' | 'offer' | 'problems'> {
  const { model, demo, offer } = models.describe();
  return {
    version,
    workspace,
    home,
    model,
    demo,
    offer,
    problems: distinct([
      ...refused.map((problem) => ({ ...problem, applied: false as const })),
      ...governance.problems,
      ...live,
      ...models.problems(),
    ]),
  };
}
