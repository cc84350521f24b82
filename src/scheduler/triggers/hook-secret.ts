/** A secret that is shorter can be guessed. */
const MIN_SECRET = 16;

export type ReadSecret = (ref: string, forWhom: string) => Promise<string>;

/** The secret of a hook, or why the hook answers nobody. Never says what it is. */
export async function hookSecret(
  ref: string,
  hook: string,
  secret: ReadSecret,
): Promise<{ ok: true; value: string } | { ok: false; why: string }> {
  const name = ref.replace(/^env:/, '');
  const fromEnv = name !== ref;
  const value = await secret(ref, `the hook ${hook}`).catch(() => null);
  if (value === null) {
    const missing = fromEnv
      ? `${name} is not set where ruche was started; start it again with it`
      : `there is no secret ${ref}`;
    return { ok: false, why: `the hook ${hook} answers nobody: ${missing}` };
  }
  if (value.length >= MIN_SECRET) return { ok: true, value };
  const short = `${name} has fewer than ${MIN_SECRET} characters, and could be guessed`;
  return { ok: false, why: `the hook ${hook} answers nobody: ${short}; make one with openssl rand -hex 32` };
}
