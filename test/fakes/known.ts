import { BUILTIN, knownOf } from '../../src/app/builtin.ts';
import { recipientsOf, type Known, type KnownToAgent } from '../../src/config/settings.ts';

/** What settings and agents may name in tests: all that Ruche comes with, of providers the demo alone. */
export const KNOWN: Known & KnownToAgent = {
  ...knownOf(BUILTIN),
  providers: ['demo'],
  chains: [],
  recipients: recipientsOf([], knownOf(BUILTIN)),
};
