// Run by kill.test.ts: commits as fast as it can and prints what was acknowledged, until it is killed.
import { commit, newTask, note, openAt, settle } from './kit.ts';

const store = await openAt(process.argv[2] ?? '');
const start = await store.head();

async function writer(name: string): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${start}-${name}-${i}`;
    const answer = store.putBlob(Buffer.from(`answer of ${id}`), `person:${name}`);
    const said = note('all', id, { type: 'question.answered', data: { question: id, by: name, answer } });
    const result = await commit(
      store,
      [said, note(name, id)],
      [{ op: 'enqueue', task: newTask(id, { lane: name }), causeOf: 1 }],
      {
        sync: i % 10 === 0,
      },
    );
    if (!result.ok) throw new Error(JSON.stringify(result));
    process.stdout.write(`${result.events.at(-1)?.seq}\n`);
    if (i % 3 === 0) await commit(store, [], [settle(id)]);
  }
}

await Promise.all(['ann', 'bob', 'cat', 'dan'].map(writer));
