import { frontMatter } from './agent.ts';
import { parseYaml } from './yaml-source.ts';
import { secretIn, SECRET_REFERENCE } from '../core/ids.ts';
import type { SecretPlace } from '../core/api/secrets.ts';
import { isObject, jsonIn } from '../core/text/json.ts';

/**
 * Every place where a file names a secret of the vault. It is looked for in all that the file says, so that a setting that is made
 * tomorrow is found, too. What cannot be read names nothing.
 */
export function secretPlaces(file: string, text: string): Map<string, SecretPlace[]> {
  const places = new Map<string, SecretPlace[]>();
  const add = (name: string, key: string): void => {
    places.set(name, [...(places.get(name) ?? []), { file, key }]);
  };
  const walk = (value: unknown, path: readonly string[]): void => {
    if (typeof value === 'string') {
      const name = SECRET_REFERENCE.test(value) ? secretIn(value) : null;
      if (name !== null) add(name, path.join('.'));
    } else if (Array.isArray(value)) for (const [at, each] of value.entries()) walk(each, [...path, String(at)]);
    else if (isObject(value)) for (const [key, each] of Object.entries(value)) walk(each, [...path, key]);
  };
  const value = valueOf(file, text);
  walk(value, []);
  // `secrets:` of ruche.yaml binds each secret by its own name.
  if (file === 'ruche.yaml' && isObject(value) && isObject(value.secrets))
    for (const [name, binding] of Object.entries(value.secrets))
      if (isObject(binding) && binding.value === undefined) add(name, `secrets.${name}`);
  return places;
}

function valueOf(file: string, text: string): unknown {
  if (file.endsWith('.json')) return jsonIn(text);
  return file.endsWith('.md') ? frontMatter(text) : parseYaml(text, file).value;
}
