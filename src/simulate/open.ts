/** What `ruche simulate` needs; loaded when it is asked for. */
export async function openSimulation() {
  const [{ breaks, play, readOptions }, { live }] = await Promise.all([import('./play.ts'), import('./life.ts')]);
  return { breaks, play, live: (dir: string) => live(readOptions(dir)) };
}
