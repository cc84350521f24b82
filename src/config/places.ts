import { splitFrontMatter } from './agent.ts';
import { at } from './validate.ts';
import { decodeText, parseYaml, type Path } from './yaml-source.ts';

/** Where keys and items of `ruche.yaml` or an AGENT.md stand: the line of one, from 1; null if there is none such. */
export function placesIn(input: Uint8Array, file: string): (path: Path) => number | null {
  const decoded = decodeText(input, file);
  if (!decoded.ok) return () => null;
  const split = file.endsWith('.md') ? splitFrontMatter(decoded.text) : null;
  if (split?.ok === false) return () => null;
  const source = parseYaml(split?.front ?? decoded.text, file, split?.firstLine ?? 1);
  return (path) => (at(source.value, path) === undefined ? null : source.lineOf(path));
}
