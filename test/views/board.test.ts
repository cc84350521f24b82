import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import { BOARD_COLUMNS } from '../../src/core/api/views.ts';
import { taskTool } from '../../src/tools/task.ts';
import { testTools } from '../fakes/loop.ts';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { withLoop } from '../agent/with-loop.ts';
import { stands, withViews } from './kit.ts';

const options = {
  tools: [taskTool, testTools([]).ask],
  others: [{ name: 'writing' }],
  nextTry: () => null,
};

const script = (request: ModelRequest) => {
  const last = request.messages.at(-1)?.parts[0];
  const asked = last?.type === 'text' ? last.text : '';
  if (/break/.test(asked)) return fails('auth');
  if (/which/.test(asked)) return calls(['ask', { question: 'Which?' }]);
  return /give/.test(asked)
    ? calls(['task', { action: 'create', agent: 'writing', text: 'which', wait: true }])
    : says('ok');
};

test('each task stands in one column, which the list of work finds as many in', async () => {
  await withLoop(script, options, async (loop) =>
    withViews(loop, async (views) => {
      for (let n = 0; n < 7; n++) await loop.send(`fine ${n}`, `s${n}`);
      const { task: broken } = await loop.send('break', 'b1');
      await loop.send('break', 'b2');
      const given = await loop.deliver('give', 'g');
      await stands(views, given, 'waiting', 'g');
      await loop.settled(given);
      await loop.runtime.pauseAgent('assistant', 'owner', 'the books are closed');
      const held = await loop.deliver('later', 'h');
      assert.match(
        (await stands(views, held, 'queued', 'h')).why,
        /assistant has been paused for \d+ s: the books are closed\. It waits/,
      );

      const { lanes } = await views.board({ cards: 3 });
      const told = lanes.map(({ agent, cells }) => [
        agent,
        ...cells.map(({ column, total, cards }) => `${column} ${cards.length}/${total}`),
      ]);
      assert.deepEqual(told, [
        ['assistant', 'queued 1/1', 'tasks 1/1', 'today 3/7', 'failed 2/2'],
        ['writing', 'person 1/1'],
      ]);
      assert.deepEqual(
        lanes[0]?.cells[2]?.cards.map((card) => card.title),
        ['fine 6', 'fine 5', 'fine 4'],
      );
      let counted = 0;
      for (const column of BOARD_COLUMNS) {
        const { total } = await views.runs({ column });
        const shown = lanes.flatMap(({ cells }) => cells.filter((cell) => cell.column === column));
        assert.equal(
          shown.reduce((sum, cell) => sum + cell.total, 0),
          total,
          column,
        );
        counted += total;
      }
      assert.equal(counted, 12);
      assert.deepEqual(
        (await views.board({ agent: 'writing', cards: 3 })).lanes.map((lane) => lane.agent),
        ['writing'],
      );
      await loop.runtime.dismiss(broken, 'owner');
      assert.equal((await views.runs({ column: 'failed' })).total, 1);
    }),
  );
});
