/**
 * Every place where a crash leaves a different durable state behind. The crash suite kills the process at each of
 * them; adding a name here and calling it is all it takes to be tested, and a name that is never reached fails the suite.
 */
export const BOUNDARIES = [
  'store.commit.before',
  'store.commit.after',
  'store.sync.before',
  'store.sync.after',
  'workspace.object.before',
  'workspace.object.after',
  'workspace.person.look',
  'workspace.person.before',
  'workspace.person.after',
  'landing.commit.before',
  'landing.commit.after',
  'landing.files.before',
  'landing.files.after',
  'landing.ref.before',
  'landing.ref.after',
  'landing.index.after',
  'checkout.take.before',
  'checkout.take.after',
  'checkout.collect.before',
  'checkout.collect.after',
  'checkout.release.before',
  'checkout.release.after',
  'shell.start.before',
  'shell.start.after',
  'shell.exit.before',
  'shell.exit.after',
  'fetch.before',
  'fetch.after',
  'grant.give.before',
  'grant.give.after',
  'grant.use.before',
  'grant.use.after',
  'channel.send.before',
  'channel.send.after',
  'channel.draft.before',
  'channel.draft.after',
  'inbox.claim.before',
  'inbox.claim.after',
  'inbox.take.before',
  'inbox.take.after',
  'journal.import.before',
  'journal.import.after',
  'secrets.key.before',
  'secrets.key.after',
  'secrets.file.before',
  'secrets.file.after',
  'secrets.move.before',
  'secrets.move.after',
] as const;

export type BoundaryName = (typeof BOUNDARIES)[number];

/** Called at each boundary. Does nothing in production; the crash suite passes one that kills the process. */
export type Boundary = (name: BoundaryName) => void;
