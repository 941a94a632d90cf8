import { createPrivateKey, type KeyObject, sign } from 'node:crypto';

/*
 * Credentials files and their keys. The NATS client signs in plain JavaScript: 20 to 40 ms of every connect, a third of a worker's start;
 * the same Ed25519 in node:crypto takes 0.2 ms.
 */
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** A seed's text is base32 of two prefix bytes, the 32 bytes of the key and a checksum. */
const rawSeed = (seed: string): Buffer => {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const character of seed) {
    value = (value << 5) | base32.indexOf(character);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >>> bits) & 0xff);
    value &= (1 << bits) - 1;
  }
  return Buffer.from(bytes).subarray(2, 34);
};

/** PKCS #8 of an Ed25519 private key up to the key itself (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The private key of a seed such as `SUAB...`. */
export const privateKeyOf = (seed: string): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8Prefix, rawSeed(seed)]), format: 'der', type: 'pkcs8' });

const section = (creds: string, name: string): string => {
  const found = new RegExp(`-----BEGIN ${name}-----\\s*([\\w.-]+)\\s*-+END ${name}-+`).exec(creds);
  if (!found?.[1]) throw new Error(`the credentials hold no ${name}; they are written by the operator, or by nsc`);
  return found[1];
};

/**
 * Answers a server's challenge from a credentials file, which is read anew each time because it is renewed. While it is being replaced it may
 * be missing, empty or half there: the last good one is tried then, because the NATS client ends for good when its authenticator throws.
 */
export const credsAuthenticator = (
  read: () => string,
): ((nonce?: string) => { jwt: string; nkey: string; sig: string }) => {
  let good: { readonly jwt: string; readonly key: KeyObject } | undefined;
  const current = () => {
    try {
      const creds = read();
      return { jwt: section(creds, 'NATS USER JWT'), key: privateKeyOf(section(creds, 'USER NKEY SEED')) };
    } catch (error) {
      if (good) return good;
      throw error;
    }
  };
  return (nonce) => {
    good = current();
    const { jwt, key } = good;
    return { jwt, nkey: '', sig: nonce ? sign(null, Buffer.from(nonce), key).toString('base64url') : '' };
  };
};
