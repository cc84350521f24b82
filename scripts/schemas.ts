// Writes the JSON Schemas for editors: into schemas/, and into the template, so that they work offline in a workspace.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUILTIN } from '../src/app/builtin.ts';
import { editorSchemas } from '../src/config/schemas.ts';

const root = join(import.meta.dirname, '..');
for (const folder of ['schemas', 'templates/solo/.ruche', 'templates/network/.ruche']) {
  await mkdir(join(root, folder), { recursive: true });
  for (const [name, schema] of Object.entries(editorSchemas(BUILTIN)))
    await writeFile(join(root, folder, name), `${JSON.stringify(schema, null, 2)}\n`);
}
