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
