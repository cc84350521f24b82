import type { BlobRef } from '../../src/core/blob.ts';
import type { DataOf, EventType } from '../../src/core/event.ts';

/** What `words.ts` has to say of events of each type, and whether they deserve a commit of their own. */
export type Rows = { [T in EventType]: { weighty: boolean; rows: [words: string, data: DataOf<T>][] } };

const blob: BlobRef = { hash: 'said', size: 1, subject: 's' };

const granted = {
  grant: 'grt_1',
  scope: 'task' as const,
  agent: 'a',
  tool: 'mail',
  terms: blob,
  over: [],
  task: 'tsk_1',
  until: null,
  count: null,
  approval: null,
};

type Standing = EventType & ('approval.seconded' | `grant.${string}` | `value.${string}`);

export const STANDING_ROWS: Pick<Rows, Standing> = {
  'approval.seconded': {
    weighty: true,
    rows: [['approves apr_1 as one of several', { approval: 'apr_1', by: 'owner', person: 'owner' }]],
  },
  'grant.given': {
    weighty: true,
    rows: [
      ['lets a use mail in tsk_1 (grt_1): "words"', granted],
      [
        'lets a use mail from now on, 3 times, until 1970-01-01T00:00:01Z (grt_1): "words"',
        { ...granted, scope: 'standing', task: null, count: 3, until: 1_000 },
      ],
    ],
  },
  'grant.used': { weighty: false, rows: [['uses grt_1', { grant: 'grt_1', run: 'r', call: 'c', use: null }]] },
  'grant.revoked': { weighty: true, rows: [['revoked grt_1', { grant: 'grt_1' }]] },
  'value.endorsed': {
    weighty: true,
    rows: [
      [
        'vouches for the address end_1: "words"',
        { endorsement: 'end_1', kind: 'address', value: blob, approval: null },
      ],
    ],
  },
  'value.revoked': { weighty: true, rows: [['vouches for end_1 no more', { endorsement: 'end_1' }]] },
};
