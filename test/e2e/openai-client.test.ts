import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { whole } from '../fakes/effort.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const RULES = `policy:
  rules:
    - { id: contracts, ask: { tool: write, path: "contracts/**" }, reason: "Contracts need a person." }
`;

type Said = OpenAI.Chat.Completions.ChatCompletionMessageParam;

let home: Home;
let client: OpenAI;
before(async () => {
  home = await Home.up({
    files: { 'ruche.yaml': RULES, 'agents/assistant/AGENT.md': AGENT, 'agents/other/AGENT.md': AGENT },
  });
  // More tries than usual, because a machine under load takes longer to start a process; the waits are its own.
  client = new OpenAI({ baseURL: `${home.url}/v1`, apiKey: home.token, maxRetries: 8 });
});
after(() => home.close());

/** A conversation as a chat program holds it: everything said so far goes along each time. */
class Talk {
  readonly #user: string;
  readonly #messages: Said[] = [];
  constructor(user: string) {
    this.#user = user;
  }

  async whole(content: string): Promise<string> {
    const answer = await client.chat.completions.create({ ...this.#next(content), stream: false });
    return this.#heard(answer.choices[0]?.message.content ?? '');
  }

  async streamed(content: string): Promise<string> {
    const stream = await client.chat.completions.create({ ...this.#next(content), stream: true });
    let text = '';
    for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
    return this.#heard(text);
  }

  #next(content: string): { model: string; user: string; messages: Said[] } {
    this.#messages.push({ role: 'user', content });
    return { model: 'assistant', user: this.#user, messages: this.#messages };
  }

  #heard(content: string): string {
    this.#messages.push({ role: 'assistant', content });
    return content;
  }
}

/** Each way to ask, or the one where not all are tried. */
const forms = (one: 'whole' | 'streamed'): ('whole' | 'streamed')[] => (whole ? ['whole', 'streamed'] : [one]);

const idIn = (text: string): string => /apr_[A-Za-z0-9_-]+/.exec(text)?.[0] ?? assert.fail(`no id in: ${text}`);

async function crash(): Promise<void> {
  await home.end('SIGKILL');
  await home.start();
}

/** The answer to something that takes a while, with a SIGKILL and a restart in the middle of it. */
async function crashDuring(asking: Promise<string>): Promise<string> {
  await until(async () => (await home.status()).tasks.running === 1, 'the run has begun');
  await until(async () => (await home.recorded('tool.started')).some(({ tool }) => tool === 'shell'), 'its command');
  await crash();
  return asking;
}

for (const form of forms('streamed'))
  test(`three turns with a tool call and an approval, across a SIGKILL (${form})`, async () => {
    const talk = new Talk(`talk-${form}`);
    const [notes, contract] = [`notes-${form}.md`, `contracts/${form}.md`];
    assert.match(await talk[form](`write ${notes}: hello, then run: wc -c ${notes}`), /\b5 notes-/);
    const asked = await talk[form](`write ${contract}: signed`);
    assert.match(asked, new RegExp(`contracts/${form}\\.md[\\s\\S]*approve`));
    const id = idIn(asked);
    await crash();
    assert.deepEqual(
      (await home.pending()).map((wait) => wait.id),
      [id],
      'it still waits after the crash',
    );
    assert.ok(!home.exists(contract), 'nothing was written before the approval');
    assert.match(await talk[form](`approve ${id}`), /Created contracts\//);
    assert.equal(home.read(contract), 'signed');
    assert.match(
      await talk[form]('what did I say?'),
      new RegExp(`- write ${notes}: hello[\\s\\S]*- write ${contract}`),
    );
    const { findings } = await home.verify();
    assert.deepEqual(findings, []);
  });

for (const form of forms('whole'))
  test(`a request that a SIGKILL cuts is sent again by the client itself and joins its run (${form})`, async () => {
    const received = (await home.recorded('message.received')).length;
    const file = `ran-${form}.txt`;
    const talk = new Talk(`cut-${form}`);
    const answer = await crashDuring(talk[form](`run: echo ran >> ${file}; sleep 1.5; cat ${file}`));
    assert.match(answer, /^ran$/m);
    assert.equal(home.read(file), 'ran\n', 'the command ran once');
    assert.equal((await home.recorded('message.received')).length, received + 1, 'one message');
    assert.match(await talk[form]('hello'), /Hello/, 'and the conversation goes on');
    // Said again after its answer was delivered, the same words are a new message.
    assert.match(await talk[form](`run: echo ran >> ${file}; cat ${file}`), /^ran\nran$/m);
  });

for (const form of forms('streamed'))
  test(`without a session the client's own retries run a command once, across a SIGKILL too (${form})`, async () => {
    const file = `loose-${form}.txt`;
    const hasty = new OpenAI({ baseURL: `${home.url}/v1`, apiKey: home.token, maxRetries: 12, timeout: 1_000 });
    const messages: Said[] = [{ role: 'user', content: `run: echo ran >> ${file}; sleep 2.5; cat ${file}` }];
    const asking = (async () => {
      if (form === 'whole')
        return (await hasty.chat.completions.create({ model: 'assistant', messages })).choices[0]?.message.content;
      let text = '';
      for await (const part of await hasty.chat.completions.create({ model: 'assistant', messages, stream: true }))
        text += part.choices[0]?.delta.content ?? '';
      return text;
    })();
    await until(async () => (await home.status()).tasks.running === 1, 'the run has begun');
    await crash();
    assert.match((await asking) ?? '', /^ran$/m);
    assert.equal(home.read(file), 'ran\n', 'the command ran once');
  });

test('an Idempotency-Key finds its run again after a restart', async () => {
  const ask = async () => {
    const options = { headers: { 'Idempotency-Key': 'key-1' } };
    const messages: Said[] = [{ role: 'user', content: 'run: echo ran >> keyed.txt; cat keyed.txt' }];
    const answer = await client.chat.completions.create({ model: 'assistant', messages }, options);
    return answer.choices[0]?.message.content ?? '';
  };
  const first = await ask();
  assert.match(first, /^ran$/m);
  await crash();
  assert.equal(await ask(), first);
  assert.equal(home.read('keyed.txt'), 'ran\n');
  const messages: Said[] = [{ role: 'user', content: 'run: echo ran >> keyed.txt; cat keyed.txt' }];
  const elsewhere = client.chat.completions.create(
    { model: 'other', messages },
    { headers: { 'Idempotency-Key': 'key-1' }, maxRetries: 0 },
  );
  await assert.rejects(elsewhere, /422 This Idempotency-Key was sent with another request/);
  assert.equal(home.read('keyed.txt'), 'ran\n', 'no other agent does it again');
});

test('without a session the whole array counts, and each request is a conversation of its own', async () => {
  const messages: Said[] = [
    { role: 'user', content: 'my word is amber' },
    { role: 'assistant', content: 'Noted.' },
    { role: 'user', content: 'what did I say?' },
  ];
  const answer = await client.chat.completions.create({ model: 'assistant', messages });
  assert.match(answer.choices[0]?.message.content ?? '', /- my word is amber/);
  const fresh = await client.chat.completions.create({ model: 'assistant', messages: messages.slice(2) });
  assert.match(fresh.choices[0]?.message.content ?? '', /Nothing yet/);
});

test('after all of it the record is whole', async () => {
  assert.equal(await home.end('SIGTERM'), 0);
  const { findings, counts } = await home.verify();
  assert.deepEqual(findings, []);
  assert.ok(counts.events > 100 && counts.commits >= 6, JSON.stringify(counts));
  assert.equal(counts.lines, counts.events);
});
