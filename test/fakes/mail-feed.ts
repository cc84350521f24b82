import type { MailFeed, MailHead } from '../../src/core/ports/mailbox.ts';

/** A folder in memory: mails get rising numbers, and all get new ones when it is made anew. */
export class FakeFolder implements MailFeed {
  validity = 1;
  /** Called before each fetch; a throw is a connection that breaks. */
  fetching: () => void = () => undefined;
  #next = 1;
  #mails: { uid: number; id: string; received: number }[] = [];

  put(id: string, received: number): void {
    this.#mails.push({ uid: this.#next, id, received });
    this.#next += 1;
  }

  remove(id: string): void {
    this.#mails = this.#mails.filter((mail) => mail.id !== id);
  }

  renumber(): void {
    this.validity += 1;
    this.#next = 1;
    const before = this.#mails;
    this.#mails = [];
    for (const { id, received } of before) this.put(id, received);
  }

  look = (after: number) =>
    Promise.resolve({
      validity: String(this.validity),
      uids: this.#mails.map(({ uid }) => uid).filter((uid) => uid > after),
    });

  async heads(uids: readonly number[]): Promise<MailHead[]> {
    this.fetching();
    return this.#mails
      .filter(({ uid }) => uids.includes(uid))
      .map(({ uid, id, received }) => ({
        place: { folder: 'INBOX', validity: String(this.validity), uid },
        header: Buffer.from(`Message-ID: <${id}@x.org>\r\nFrom: a@x.org\r\nSubject: ${id}\r\n\r\n`),
        received,
        size: 100,
        flags: [],
        attachments: [],
      }));
  }

  changed = () => Promise.resolve();
  check = () => Promise.resolve();
  close = () => Promise.resolve();
}
