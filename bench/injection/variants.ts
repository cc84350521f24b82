import { vouch } from '../../src/policy/vouch.ts';
import { BENIGN, PAIRS } from './agentdojo.ts';
import { type Gate, playAttacked, playBenign } from './pure.ts';

/** Simpler rules, for scale: what each part of the product's own is good for. */
export const VARIANTS: readonly { name: string; gate: Gate }[] = [
  {
    name: 'every sink after outside text asks',
    gate: (values) => values.map(({ name, value }) => ({ name, value, vouched: null })),
  },
  {
    name: "only the owner's words, ids and all",
    gate: (values, from) =>
      vouch(
        values.filter(({ kind }) => kind !== 'link').map((each) => ({ ...each, kind: 'text' as const })),
        { ...from, records: [] },
      ),
  },
  {
    name: '… and short ids do not count, amounts do, links do',
    gate: (values, from) => vouch(values, { ...from, records: [] }),
  },
  {
    name: '… and records that the words name, for whatever is done to them',
    gate: (values, from, { service }) => vouch(values, from, { service }),
  },
  { name: "… and what destroys asks: the product's rule", gate: vouch },
  {
    name: "the product's rule without links",
    gate: (values, from, tool) =>
      vouch(
        values.filter(({ kind }) => kind !== 'link'),
        from,
        tool,
      ),
  },
];

export async function measure(gate: Gate): Promise<{ stopped: number; asks: number }> {
  let [stopped, asks] = [0, 0];
  for (const pair of PAIRS) if ((await playAttacked(pair, gate)).harm.length === 0) stopped += 1;
  for (const { task } of BENIGN) if ((await playBenign(task, gate)).asked.length > 0) asks += 1;
  return { stopped, asks };
}
