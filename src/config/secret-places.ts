import { frontMatter } from './agent.ts';
import { parseYaml, type Path } from './yaml-source.ts';
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
  const value = valueOf(file, text);
  for (const { reference, path } of references(value)) {
    const name = secretIn(reference);
    if (name !== null) add(name, path.join('.'));
  }
  // `secrets:` of ruche.yaml binds each secret by its own name.
  if (file === 'ruche.yaml' && isObject(value) && isObject(value.secrets))
    for (const [name, binding] of Object.entries(value.secrets))
      if (isObject(binding) && binding.value === undefined) add(name, `secrets.${name}`);
  return places;
}

/** The same of what stands in the environment. */
export const environmentPlaces = (file: string, text: string): { variable: string; path: Path }[] =>
  references(valueOf(file, text)).flatMap(({ reference, path }) => {
    const variable = /^env:(.+)$/.exec(reference)?.[1];
    return variable === undefined ? [] : [{ variable, path }];
  });

function references(value: unknown, path: Path = []): { reference: string; path: Path }[] {
  if (typeof value === 'string') return SECRET_REFERENCE.test(value) ? [{ reference: value, path }] : [];
  const within: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : isObject(value)
      ? Object.entries(value)
      : [];
  return within.flatMap(([key, each]) => references(each, [...path, key]));
}

function valueOf(file: string, text: string): unknown {
  if (file.endsWith('.json')) return jsonIn(text);
  return file.endsWith('.md') ? frontMatter(text) : parseYaml(text, file).value;
}
