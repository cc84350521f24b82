import { join } from 'node:path';
import { systemClock, systemRandom } from '../../src/platform/system.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { openLoop, testTools, type Loop, type LoopOptions } from '../fakes/loop.ts';
import { scriptedModel, type ScriptedModel } from '../fakes/scripted-model.ts';

/** A loop with a scripted model and the tools that log what really happened. */
export async function withLoop(
  script: Parameters<typeof scriptedModel>[0],
  options: Omit<LoopOptions, 'choices'> & { choice?: Parameters<ScriptedModel['choice']>[0] },
  body: (loop: Loop, log: string[], model: ScriptedModel) => Promise<void>,
): Promise<void> {
  const log: string[] = [];
  const model = scriptedModel(script);
  const loop = await openLoop({
    tools: Object.values(testTools(log)),
    ...options,
    choices: [model.choice(options.choice)],
  });
  try {
    await body(loop, log, model);
  } finally {
    await loop.close();
  }
}

/** Failed tasks are tried again at once. */
export function hurry(loop: Loop): void {
  const { clock } = loop.deps;
  loop.deps.clock = { ...clock, now: () => clock.now() - 600_000 };
}

/** The store of a home, for a loop whose process ends and begins again. */
export const onDisk = (dir: string) =>
  openSqliteStore({
    path: join(dir, 'ruche.sqlite'),
    clock: systemClock,
    random: systemRandom.bytes,
    boundary: () => undefined,
  });
