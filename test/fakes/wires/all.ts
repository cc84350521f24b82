import type { ModelWire } from '../../contracts/model-wires.ts';
import { anthropicWire } from './anthropic.ts';
import { chatWire } from './chat.ts';
import { geminiWire } from './gemini.ts';
import { ollamaWire } from './ollama.ts';
import { openaiWire } from './openai.ts';

/** Every provider over HTTP: one more is one more row, and all that is true of every wire is tried on it. */
export const WIRES: readonly ModelWire[] = [chatWire, anthropicWire, geminiWire, openaiWire, ollamaWire];
