import type { Settings } from '../../core/agent.ts';
import type { KeptSecrets } from '../../core/ports/secrets.ts';
import type { Models } from '../choice/choose.ts';
import type { Found } from '../choice/found.ts';
import type { ProviderParts } from '../choice/providers.ts';

export interface DeskOptions extends Omit<ProviderParts, 'secrets' | 'found'> {
  secrets: KeptSecrets;
  found: Found;
  /** In force now. */
  settings(): Pick<Settings, 'providers' | 'tiers'>;
  models(): Models;
  /** What agents name as their model: tiers and `provider/model`. */
  named(): readonly string[];
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
