import { roughly } from '../text/duration.ts';
import type { Paused } from './runtime.ts';

/** That an agent takes no work, since when and why, for whoever waits for it. */
export function pausedWords(agent: string, { at, reason }: Pick<Paused, 'at' | 'reason'>, now: number): string {
  const why = reason === '' ? '.' : `: ${/[.!?…]$/.test(reason) ? reason : `${reason}.`}`;
  return `${agent} has been paused for ${roughly(now - at)}${why}`;
}
