import type { ProviderKind, ProviderSettings } from '../../core/agent.ts';
import type { PrivateFile } from '../../core/ports/secrets.ts';
import { isObject } from '../../core/text/json.ts';
import { parseJson } from '../wire/fields.ts';
import { Mutex } from '../../core/time/mutex.ts';
import type { Reads } from '../../core/ports/store.ts';
import type { Provider } from '../wire/provider.ts';

/** Answers looked at. */
const NEWEST = 200;

/** A provider that a person gave on the web page. */
export interface KeptProvider extends ProviderSettings {
  /** The one to use; null: those of the maker that are usual. */
  model: string | null;
}

/** `models.json` of home. */
export interface Kept {
  /** The one given last comes first. */
  providers(): readonly KeptProvider[];
  /** On disk when it resolves; replaces one of the same name. */
  keep(provider: KeptProvider): Promise<void>;
}

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

const isText = (value: unknown): value is string | null => value === null || typeof value === 'string';

function readProvider(value: unknown, kinds: readonly ProviderKind[]): KeptProvider | null {
  if (!isObject(value)) return null;
  const { name, type, baseUrl = null, apiKey = null, model = null } = value;
  if (typeof name !== 'string' || !NAME.test(name) || typeof type !== 'string') return null;
  if (!kinds.some((kind) => kind.type === type && kind.standIn === undefined)) return null;
  if (!isText(baseUrl) || !isText(apiKey) || !isText(model)) return null;
  // A key that somebody wrote in would be shown to everybody who asks for the providers.
  if (apiKey !== null && !/^(?:env|home|secret):/.test(apiKey)) return null;
  return { name, type, baseUrl, apiKey, model };
}

function parse(text: string, path: string, kinds: readonly ProviderKind[]): KeptProvider[] {
  const value = parseJson(text);
  const list = isObject(value) && value.format === 1 && Array.isArray(value.providers) ? value.providers : null;
  const providers = list?.map((each) => readProvider(each, kinds)) ?? [null];
  if (providers.includes(null))
    throw new Error(
      `${path} cannot be used (it is not what docs/formats/models-json.md says): mend it, or delete it and set the models up again on the web page.`,
    );
  return providers.filter((provider) => provider !== null);
}

/** Rejects if the file cannot be used, saying what to do. */
export async function openKept(file: PrivateFile, kinds: readonly ProviderKind[]): Promise<Kept> {
  const text = await file.read();
  let providers: readonly KeptProvider[] = text === null ? [] : parse(text, file.path, kinds);
  const writing = new Mutex();
  return {
    providers: () => providers,
    async keep(provider) {
      await writing.run(async () => {
        const next = [provider, ...providers.filter(({ name }) => name !== provider.name)];
        await file.write(`${JSON.stringify({ format: 1, providers: next }, null, 2)}\n`);
        providers = next;
      });
    },
  };
}

/**
 * Servers that have answered runs of this home. They were used as soon as they were found, before that needed a yes, and their
 * owner must not find the demo in their place.
 */
export async function usedServers(store: Reads, kinds: readonly Provider[]): Promise<string[]> {
  const names = kinds.flatMap(({ name, server }) => (server ? [name] : []));
  const used = new Set<string>();
  for await (const event of store.read({ types: ['model.answered'], reverse: true, limit: NEWEST }))
    if (event.type === 'model.answered' && names.includes(event.data.provider)) used.add(event.data.provider);
  return [...used];
}
