import type { Standing, Views } from '../../src/core/api/views.ts';
import { openViews } from '../../src/views/open.ts';
import type { Loop } from '../fakes/loop.ts';
import { until } from '../fakes/until.ts';

export const OWNER = 'person:owner';

/** Views of the network itself, or others that read its record anew, closed when `body` is done. */
export async function withViews<T>(
  loop: Loop,
  body: (views: Views) => Promise<T>,
  anew?: { limit?: number; pushes?: (channel: string) => boolean },
): Promise<T> {
  if (anew === undefined) return body(loop.views);
  const views = openViews({ ...loop.deps, paused: () => null, hindered: () => null, ...anew });
  try {
    return await body(views);
  } finally {
    views.close();
  }
}

/** How the message of a task stands, as its conversation shows it. */
export async function standingIn(views: Views, task: string, session = 'one'): Promise<Standing> {
  const view = await views.conversation('assistant', session, null, 100);
  const entry = view?.entries.find((each) => each.kind === 'message' && each.task === task);
  if (entry?.kind !== 'message') throw new Error(`no message of ${task}`);
  return entry.standing;
}

/** Waits until the message stands as told. */
export const stands = (views: Views, task: string, state: Standing['state'], session = 'one'): Promise<Standing> =>
  until(async () => {
    const standing = await standingIn(views, task, session);
    return standing.state === state ? standing : null;
  }, `${task} is ${state}`);
