import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== '';
  } catch {
    return false;
  }
}

/** The certificates (PEM) of a file; none if there is no file. Rejects with what to mend in one that holds anything else. */
export async function readAuthorities(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return [];
  const found = text.match(CERTIFICATE) ?? [];
  if (!found.every(isCertificate))
    throw new Error(
      `${path} holds a certificate that cannot be read: put certificates in PEM form there, or delete it.`,
    );
  if (found.length === 0)
    throw new Error(`${path} holds no certificate: put those of your authorities there in PEM form, or delete it.`);
  return found;
}
