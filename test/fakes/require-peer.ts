/**
 * For `test(name, { skip }, …)`: false if the peer is there, else the reason. Where CI=true nothing may be missing, so that
 * a green run there means that everything was tried.
 */
export function requirePeer(name: string, present: boolean): string | false {
  if (present) return false;
  if (process.env['CI'] === 'true') throw new Error(`${name} is missing: install it, CI skips nothing`);
  return `${name} is not on this machine`;
}
