import type { StoreKind } from '../core/ports/store.ts';
import { sqliteStore } from '../store/sqlite/store.ts';

/** Where the record is. Not in the list of what networks are made of, which commands that only look need not load. */
export const STORE: StoreKind = sqliteStore;
