import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { DiffView, RunView } from '../../src/core/api/views.ts';
import { count, duration, money } from '../lib/format.ts';
import { took } from '../lib/words.ts';
import { useApp, useOpened } from '../stores/app.ts';
import { resource, type Resource } from '../stores/resource.ts';
import { Diff } from './diff.tsx';
import { Await, Plain, State } from './small.tsx';
import { Step } from './step.tsx';

interface Opened {
  run: Resource<RunView>;
  diff: Resource<DiffView>;
  close(): void;
}

/** A piece of work that is looked at; follows what happens to it. */
export function useItem(task: string): Opened {
  const { api, live } = useApp();
  const opened = useOpened(task, (): Opened => {
    const run = resource(() => api.run(task), 400);
    const diff = resource(() => api.diff(task));
    const close = live.onChange((changed) => {
      if (changed === null || changed.task === task) run.changed();
    });
    void run.refresh();
    return { run, diff, close };
  });
  return opened;
}

/** All steps of a piece of work, and what became of the workspace. */
export function Steps({ item, task }: { item: Opened; task: string }): JSX.Element {
  return (
    <Await of={item.run.state} what="the steps" retry={() => void item.run.refresh()}>
      {(run) => (
        <>
          <Totals run={run} />
          {run.list.length === 0 ? (
            <p class="quiet">
              <Plain text={run.standing.why || 'It has not started yet.'} />
            </p>
          ) : (
            <ol class="steps">
              {run.list.map((step, index) => (
                <li key={index}>
                  <Step step={step} task={task} />
                </li>
              ))}
            </ol>
          )}
          {run.commit !== null && <Changes diff={item.diff} commit={run.commit} />}
        </>
      )}
    </Await>
  );
}

function Totals({ run }: { run: RunView }): JSX.Element {
  const { now } = useApp();
  const ms = took(run, run.endedAt === null ? now.value : 0);
  const { input, output } = run.usage;
  const facts = [
    ms === null ? '' : duration(ms),
    input + output === 0 ? '' : `${count(input)} tokens in, ${count(output)} out`,
    money(run.costUsd, run.unpriced),
  ];
  return (
    <p class="totals">
      <State of={run.standing} /> <span class="quiet">{facts.filter(Boolean).join(' · ')}</span>
    </p>
  );
}

function Changes({ diff, commit }: { diff: Resource<DiffView>; commit: string }): JSX.Element {
  useEffect(() => void diff.refresh(), [commit]);
  return (
    <>
      <h3 class="section-title">What changed</h3>
      <Await of={diff.state} what="what changed" retry={() => void diff.refresh()}>
        {(value) => <Diff of={value} />}
      </Await>
    </>
  );
}
