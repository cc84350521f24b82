import type { Agent, Governance, Problem } from '../core/agent.ts';
import type { ModelChoice } from '../core/model.ts';
import type { Traffic } from '../core/net/sent.ts';
import type { ModelUse } from './days.ts';
import type { AgentAbout, RuntimeStatus } from '../core/api/runtime.ts';

/** What the models' room knows, as far as people are told of it. */
interface Models {
  choices(modelOrTier: string): readonly Pick<ModelChoice, 'provider' | 'model'>[];
  describe(): Pick<RuntimeStatus, 'model' | 'demo' | 'offer'>;
  problems(): readonly Problem[];
  assumed(): Readonly<Record<string, number>>;
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
): Pick<RuntimeStatus, 'version' | 'workspace' | 'home' | 'model' | 'demo' | 'offer' | 'assumed' | 'problems'> {
  const { model, demo, offer } = models.describe();
  return {
    version,
    workspace,
    home,
    model,
    demo,
    offer,
    assumed: models.assumed(),
    problems: distinct([
      ...refused.map((problem) => ({ ...problem, applied: false as const })),
      ...governance.problems,
      ...live,
      ...models.problems(),
    ]),
  };
}

/** As the value of a label may be written. */
const labelled = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Prometheus text exposition format 0.0.4. */
export function metricsText(status: RuntimeStatus, uses: readonly ModelUse[], traffic: readonly Traffic[]): string {
  const lines: string[] = [];
  const metric = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    samples: [labels: string, value: number][],
  ): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`);
  };
  const tasks = Object.entries(status.tasks).map(([name, count]): [string, number] => [`{status="${name}"}`, count]);
  metric('ruche_ready', 'gauge', '1 if the network takes turns, else 0.', [['', status.ready ? 1 : 0]]);
  metric('ruche_tasks', 'gauge', 'Tasks by status.', tasks);
  metric('ruche_pending', 'gauge', 'Approvals and questions that wait for a person.', [['', status.pending]]);
  metric('ruche_journal_events', 'counter', 'Events in the journal.', [['', status.journal.head]]);
  metric('ruche_journal_lag_events', 'gauge', 'Events that have not reached journal.git.', [
    ['', status.journal.head - status.journal.exported],
  ]);
  metric('ruche_start_time_seconds', 'gauge', 'When the process started.', [['', status.startedAt / 1000]]);
  const each = (name: string, help: string, value: (use: ModelUse) => number): void =>
    metric(
      name,
      'counter',
      help,
      uses.map((use) => [`{agent="${labelled(use.agent)}",model="${labelled(use.model)}"}`, value(use)]),
    );
  each('ruche_model_answers_total', 'Answers of models.', ({ answers }) => answers);
  each('ruche_model_seconds_total', 'Seconds that these answers took.', ({ ms }) => ms / 1000);
  each('ruche_model_input_tokens_total', 'Tokens that models have read.', ({ input }) => input);
  each('ruche_model_output_tokens_total', 'Tokens that models have written.', ({ output }) => output);
  each('ruche_model_cost_usd_total', 'Cost in dollars, without answers of unknown price.', ({ costUsd }) => costUsd);
  each('ruche_model_unpriced_answers_total', 'Answers whose price is unknown.', ({ unpriced }) => unpriced);
  const net = (name: string, help: string, value: (of: Traffic) => number): void =>
    metric(
      name,
      'counter',
      help,
      traffic.map((of) => [`{who="${labelled(of.who)}",agent="${labelled(of.agent)}"}`, value(of)]),
    );
  net('ruche_net_calls_total', 'Calls and connections over the network.', ({ calls }) => calls);
  net('ruche_net_failed_calls_total', 'Of them, those that were refused or broke off.', ({ failed }) => failed);
  net('ruche_net_sent_bytes_total', 'Bytes that have left.', ({ bytesOut }) => bytesOut);
  net('ruche_net_received_bytes_total', 'Bytes that have come back.', ({ bytesIn }) => bytesIn);
  return `${lines.join('\n')}\n`;
}
