import { test, type TestContext } from 'node:test';
import { type Ability, type Able, type Case, type ChannelRig, Host } from './channel-kit.ts';
import { RECEIVING } from './channel-receiving.ts';
import { SENDING } from './channel-sending.ts';

const CASES: readonly Case[] = [...RECEIVING, ...SENDING];

/** What the user of a Channel may rely on. Gives how many cases run and how many are skipped, for the caller to assert. */
export function channelContract(
  name: string,
  lacking: Partial<Record<Ability, string>>,
  /** `factor`: how many times as fast as ours its time runs. */
  openRig: (t: TestContext, factor: number) => Promise<ChannelRig>,
): { run: number; skipped: number } {
  let skipped = 0;
  for (const { name: what, needs = [], factor = 100, check } of CASES) {
    const reason = needs.map((need) => lacking[need]).find((why) => why !== undefined);
    if (reason !== undefined) skipped += 1;
    test(`${name}: ${what}`, { skip: reason ?? false, timeout: 50_000 }, async (t) => {
      const rig = await openRig(t, factor);
      await check(t, rig as Able, rig.open(), new Host());
    });
  }
  return { run: CASES.length - skipped, skipped };
}
