/** Where a mail lies on its server. */
export interface MailPlace {
  folder: string;
  /** UIDVALIDITY of the folder: under another one, its UIDs mean other mails. */
  validity: string;
  uid: number;
}

/** How people and models name a mail: `office:1701234567.42:INBOX`. It stays what it is until the mail is moved. */
export const mailId = (account: string, { folder, validity, uid }: MailPlace): string =>
  `${account}:${validity}.${uid}:${folder}`;

/** Null if it names no mail. */
export function readMailId(id: string): { account: string; place: MailPlace } | null {
  const match = /^([a-z][a-z0-9-]{0,31}):(\d{1,20})\.(\d{1,10}):([^]{1,500})$/.exec(id.trim());
  if (!match) return null;
  const [, account = '', validity = '', uid, folder = ''] = match;
  return { account, place: { folder, validity, uid: Number(uid) } };
}
