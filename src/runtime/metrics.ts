import type { RuntimeStatus } from '../core/api/runtime.ts';

/** Prometheus text exposition format 0.0.4. */
export function metricsText(status: RuntimeStatus): string {
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
  return `${lines.join('\n')}\n`;
}
