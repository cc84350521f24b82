import type { Upload } from './types.ts';

/** Fields and files of a `multipart/form-data` body. A file stands under the name that `attach://` refers to. */
export function parseMultipart(
  body: Buffer,
  contentType: string,
): { fields: Record<string, string>; files: Map<string, Upload> } {
  const boundary = /boundary=(?:"([^"]+)"|([^;]+))/.exec(contentType);
  const mark = Buffer.from(`--${boundary?.[1] ?? boundary?.[2] ?? ''}`);
  const fields: Record<string, string> = {};
  const files = new Map<string, Upload>();
  for (let at = body.indexOf(mark); at !== -1;) {
    const next = body.indexOf(mark, at + mark.length);
    if (next === -1) break;
    const part = body.subarray(at + mark.length + 2, next - 2);
    const split = part.indexOf('\r\n\r\n');
    const head = part.subarray(0, split).toString();
    const content = part.subarray(split + 4);
    const name = /[;\s]name="([^"]*)"/i.exec(head)?.[1] ?? '';
    const file = /filename=(?:"([^"]*)"|([^\r\n;]*))/i.exec(head);
    if (file) files.set(name, { name: file[1] ?? file[2] ?? '', bytes: new Uint8Array(content) });
    else fields[name] = content.toString();
    at = next;
  }
  return { fields, files };
}
