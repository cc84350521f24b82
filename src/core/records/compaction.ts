/** Who a task is from that has a resting conversation summarised. */
export const COMPACTION = 'runtime:compaction';

/** One for each time a conversation comes to rest: `seq` is that of its last turn. */
export const compactionKey = (lane: string, seq: number): string => `compaction:${lane}@${seq}`;

/** Newest turns that a night leaves as they are, word for word. */
export const KEPT_TURNS = 2;
