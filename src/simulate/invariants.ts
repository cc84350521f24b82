/** What must hold after a play, whatever has happened in it. */
export const INVARIANTS = {
  'firing-once': 'each firing that was due has had its fate once, and no other one has',
  'firing-early': 'nothing fired before its time',
  'cause-once':
    'each cause that fits a trigger has had its effect once, or is on record as skipped; and nothing else has',
  artefacts: 'who was given a file has read what its sender meant, whatever landed since',
  'late-once': 'a deadline that was missed is on record once, and no other one is',
  'message-once': 'each message that was taken became one task',
  'order-once': 'each piece of work was given once, and none is missing',
  'rejected-once': 'each file that no task can be made of was put aside and told of once, and no other one was',
  'task-ended': 'each task has ended, or waits for a person',
  'task-failed': 'only what nobody could have done has failed',
  results: 'each run that waited went on with every result',
  'reply-once': 'each reply arrived once, and a further time only if it says so',
  'line-kept': 'nothing that landed was lost again',
  'index-kept': 'what a person has staged stays staged as they left it',
  receipts: 'each commit of a run has its receipt, and each receipt its commit',
  answered: 'each question, approval and matter was answered',
  escalated: 'what waits goes up its chain: each level once, none early, none after somebody took it on',
  verify: 'journal, journal.git and workspace agree',
  orphans: 'nothing is left behind that nobody owns',
} as const;

export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  invariant: Invariant;
  /** Id of what it concerns. */
  about: string;
  expected: string;
  found: string;
  /** Arguments of `ruche` that show more. */
  look: string;
}

export type Report = (violation: Violation) => void;
