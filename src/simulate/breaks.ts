import type { System } from '../app-types.ts';
import type { Channel } from '../core/channel.ts';
import type { Clock } from '../core/clock.ts';
import type { Store, Workspace } from '../core/ports.ts';
import type { VirtualClock } from './clock.ts';
import type { Plan } from './plan.ts';
import type { World } from './world.ts';

export type Broken = string;
export interface BreakParts { plan: Plan; clock: VirtualClock; world: World }
export interface Wrappers {
  store(store: Store): Store;
  workspace<T extends Workspace>(workspace: T): T;
  channel(channel: Channel): Channel;
  clock(clock: VirtualClock): Clock;
}
export function breakIn(_broken: Broken | null, _parts: BreakParts): Wrappers {
  return { store: (s) => s, workspace: (w) => w, channel: (c) => c, clock: (c) => c };
}
export type Unused = System;
