// Ends the test process at its first failure: one is enough to know that a mutant is noticed.
import type { TestEvent } from 'node:test/reporters';

// oxlint-disable-next-line require-yield
export default async function* bail(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events)
    if (event.type === 'test:fail' && event.data.todo === undefined && event.data.skip === undefined) process.exit(1);
}
