/** What a message that begins with `@name` is to whom; null if no agent of this name is known: then it is part of the text. */
export function addressee(text: string, known: (name: string) => boolean): { agent: string; text: string } | null {
  const [, name = '', rest = ''] = /^\s*@([a-z][a-z0-9-]{0,62})(?![\w@.])[\s:,]*([^]*)$/i.exec(text) ?? [];
  const agent = name.toLowerCase();
  return name !== '' && known(agent) ? { agent, text: rest } : null;
}
