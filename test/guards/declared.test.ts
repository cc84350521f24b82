// A tool, messenger, provider or sandbox is one file and one line of app/: nobody else may know it by its name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILTIN } from '../../src/app/builtin.ts';
import { readSources, withoutComments } from './source.ts';

/** Rooms that treat every tool alike. */
const ENGINES = /^src\/(agent|config|gateway|journal|messages|pending|policy|runtime|scheduler|trust|views)\//;
/** Names of tools that are effects, verdicts and other things too: of these, only what is plainly meant as a tool counts. */
const WORDS: ReadonlySet<string> = new Set([
  'read',
  'write',
  'edit',
  'list',
  'search',
  'ask',
  'task',
  'schedule',
  'extract',
]);

/** Rooms that treat every provider alike, with what all wires share. */
const PROVIDERS_ALIKE = /^src\/(app|core|models\/(choice|setup|wire|prices))\//;
const LIST = 'src/app/builtin.ts';

/** A text that is the name, or has it between marks. */
const literal = (name: string): string => `(?:['"]${name}['"]|\`${name}\`|\\\\\`${name}\\\\\`)`;

function meansTool(name: string): RegExp {
  if (!WORDS.has(name)) return new RegExp(literal(name));
  const asTool = String.raw`\b(?:tool|name)(?:\.name)?\s*(?:[!=]==|:)\s*`;
  return new RegExp(String.raw`${asTool}${literal(name)}|\btools?(?:\(\))?\.(?:get|has|includes)\(${literal(name)}`);
}

/** `demo` is a field of what describes a network, too: in a list of fields it is no provider. */
const meansProvider = (type: string): RegExp =>
  new RegExp(type === 'demo' ? String.raw`(?<!\| )${literal(type)}(?! \|)` : literal(type));

/** `none` is a word of many things; of it only a comparison with a sandbox counts. */
const meansSandbox = (name: string): RegExp =>
  new RegExp(name === 'none' ? String.raw`\bsandbox(?:\.name)?\s*[!=]==\s*${literal(name)}` : literal(name));

/** Every place where code, comments and imports aside, names a tool, or a messenger at all. */
function knownByName(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const code = withoutComments(text).replaceAll(/^(import|export)[^;]*\bfrom\b[^;]*;/gm, '');
    for (const { type } of BUILTIN.messengers)
      if (!path.startsWith(`src/channels/${type}/`) && !path.startsWith('src/app/') && new RegExp(type, 'i').test(code))
        found.push(`${path}: ${type}`);
    if (path !== LIST && (ENGINES.test(path) || PROVIDERS_ALIKE.test(path)))
      for (const { type } of BUILTIN.providers) if (meansProvider(type).test(code)) found.push(`${path}: ${type}`);
    if (path !== LIST && (ENGINES.test(path) || path.startsWith('src/app/')))
      for (const { name } of BUILTIN.sandboxes) if (meansSandbox(name).test(code)) found.push(`${path}: ${name}`);
    if (!ENGINES.test(path)) continue;
    for (const { name } of BUILTIN.tools) if (meansTool(name).test(code)) found.push(`${path}: ${name}`);
  }
  return found;
}

const sources = (): Map<string, string> => new Map([...readSources('src'), ...readSources('web')]);

test('no messenger, tool, provider or sandbox is known by name outside its own file and app/', () => {
  const files = sources();
  assert.ok(files.size >= 300, `only ${files.size} files were looked at`);
  assert.deepEqual(knownByName(files), []);
});

test('a name that is planted is found', () => {
  const planted: readonly [string, string][] = [
    ['src/messages/door.ts', "if (channel.type === 'telegram') return;"],
    ['web/lib/words.ts', "const TITLES = { telegram: 'x' };"],
    ['src/agent/calls/calls.ts', "if (call.tool === 'shell') return;"],
    ['src/agent/calls/results.ts', "if (call.tool === 'read') return;"],
    ['src/policy/decide.ts', 'if (tool === "escalate") return;'],
    ['src/policy/decide.ts', "return tool === 'ask';"],
    ['src/agent/calls/artefacts.ts', "decide({ tool: 'read', effect: 'read' });"],
    ['src/config/agent.ts', "if (tools.includes('list')) return;"],
    ['src/agent/think/context.ts', 'const HINT = `use \\`shell\\``;'],
    ['src/models/choice/choose.ts', "if (type === 'ollama') return;"],
    ['src/config/schemas.ts', "const TYPES = ['anthropic'];"],
    ['src/app/models.ts', "if (provider === 'demo') return;"],
    ['src/gateway/api/control.ts', 'case "gemini":'],
    ['src/agent/calls/effect.ts', "if (sandbox.name === 'bwrap') return;"],
    ['src/app/adapters.ts', "if (sandbox.name === 'none') return;"],
    ['src/scheduler/upkeep/checks.ts', "const tool = 'fetch';"],
  ];
  for (const [path, code] of planted) {
    const files = new Map([[path, `${sources().get(path) ?? ''}\n${code}\n`]]);
    assert.equal(knownByName(files).length, 1, path);
  }
});
