import type { ModelPort } from '../core/model.ts';
export const demoModel = (): ModelPort => ({ async *stream() {} });
