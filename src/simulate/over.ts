import type { Store } from '../core/ports/store.ts';

/** A store of which some methods are others. */
export function over(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name, target);
      // The store is a class with private parts: its methods belong to it, and not to the proxy.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
