import { createRequire } from 'node:module';

// Settings are read without waiting, and most have no condition, no schema and no pattern: the packages for these are
// loaded with the first that needs them, which spares every other start 33 ms.

const load = createRequire(import.meta.url);

export const celPackage = () => load('@marcbachmann/cel-js') as typeof import('@marcbachmann/cel-js');
export const patternPackage = () => load('re2js') as typeof import('re2js');
export const schemaPackage = () => load('@cfworker/json-schema') as SchemaPackage;

export type SchemaPackage = typeof import('@cfworker/json-schema');
