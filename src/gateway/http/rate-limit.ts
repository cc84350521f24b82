import { isIPv6 } from 'node:net';

/** Addresses remembered; beyond that the one unseen for longest is forgotten. */
const ADDRESSES = 10_000;

interface Bucket {
  left: number;
  at: number;
}

export interface FailureLimit {
  /** Pays for one attempt before it is looked at: 0, or the milliseconds until the address may try again. */
  pay(address: string, now: number): number;
  /** Gives back what a right token had paid. */
  refund(address: string): void;
}

/** Counts wrong tokens by address. An attempt pays before it is validated, so that guessing is never free. */
export function failureLimit(options: { burst: number; perSecond: number }): FailureLimit {
  const buckets = new Map<string, Bucket>();
  return {
    pay(address, now) {
      const key = group(address);
      const known = buckets.get(key);
      const bucket = known ?? { left: options.burst, at: now };
      // A clock that was set back must not lock anyone out for as long as it was ahead.
      const elapsed = Math.max(0, now - bucket.at);
      bucket.left = Math.min(options.burst, bucket.left + (elapsed / 1000) * options.perSecond);
      bucket.at = now;
      buckets.delete(key);
      buckets.set(key, bucket);
      if (buckets.size > ADDRESSES) buckets.delete(buckets.keys().next().value ?? key);
      if (bucket.left < 1) return Math.ceil(((1 - bucket.left) / options.perSecond) * 1000);
      bucket.left -= 1;
      return 0;
    },
    refund(address) {
      const bucket = buckets.get(group(address));
      if (bucket) bucket.left = Math.min(options.burst, bucket.left + 1);
    },
  };
}

/** One IPv6 customer holds a whole /64: counting single addresses would make guessing free there. */
function group(address: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return isIPv6(plain) ? plain.split(':').slice(0, 4).join(':') : plain;
}
