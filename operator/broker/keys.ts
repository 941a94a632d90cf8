import { createHmac, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { privateKeyOf } from '../../runtime/nats/creds.ts';

/*
 * NATS keys. The library signs and finds public keys in plain JavaScript, 20 ms and more each; the same Ed25519 in node:crypto takes
 * 0.2 ms, so credentials for thousands of Integrations do not hold up the event loop. Both give the same texts (keys.test.ts).
 */
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** CRC-16/XMODEM. */
const checksum = (bytes: Uint8Array): number => {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
};

/** What NATS writes of a key: a prefix, the key, a checksum, in base32. */
const keyText = (prefix: Uint8Array, raw: Uint8Array): string => {
  const bytes = Buffer.concat([prefix, raw, Buffer.alloc(2)]);
  bytes.writeUInt16LE(checksum(bytes.subarray(0, -2)), bytes.length - 2);
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += base32[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + base32[(value << (5 - bits)) & 31] : text;
};

/** The kind in the first letter; 35 bytes are 56 letters. A JWK is ten times as fast to get as DER. */
const publicText = (kind: string, key: KeyObject): string =>
  keyText(Buffer.of(base32.indexOf(kind) << 3), Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'));
/** `S` and the kind in the first two letters. */
const seedText = (kind: string, raw: Uint8Array): string => {
  const prefix = base32.indexOf(kind) << 3;
  return keyText(Buffer.of((base32.indexOf('S') << 3) | (prefix >> 5), (prefix & 31) << 3), raw);
};

/** The key of such a text; `undefined` for one with a typo. */
const publicKeyOf = (text: string): KeyObject | undefined => {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text) {
    const digit = base32.indexOf(letter);
    if (digit < 0) return undefined;
    value = (value << 5) | digit;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >>> bits) & 0xff);
    value &= (1 << bits) - 1;
  }
  const raw = Buffer.from(bytes);
  if (raw.length !== 35 || raw.readUInt16LE(33) !== checksum(raw.subarray(0, 33))) return undefined;
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw.subarray(1, 33)]), format: 'der', type: 'spki' });
};
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** Whether the holder of a public key such as `ABCD...` has signed it. */
export const isSignedBy = (publicKey: string, text: string, signature: Uint8Array): boolean => {
  const key = publicKeyOf(publicKey);
  return key !== undefined && verify(null, Buffer.from(text), key, signature);
};

export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());

/** `pair` is what the library makes of the seed: it takes as long as all the rest, and little of it is ever used. */
const accelerated = (seed: string, pair: () => KeyPair): KeyPair => {
  const key = privateKeyOf(seed);
  const publicKey = createPublicKey(key);
  const text = publicText(seed[1] ?? '', publicKey);
  return {
    getPublicKey: () => text,
    getPrivateKey: () => pair().getPrivateKey(),
    getSeed: () => new TextEncoder().encode(seed),
    sign: (input) => new Uint8Array(sign(null, input, key)),
    verify: (input, signature) => verify(null, input, publicKey, signature),
    clear: () => pair().clear(),
    seal: (input, recipient, nonce) => pair().seal(input, recipient, nonce),
    open: (input, sender) => pair().open(input, sender),
  };
};
const pairOf = (seed: string): KeyPair => fromSeed(new TextEncoder().encode(seed));

/** `SO...`, `SA...` or `SU...`; throws for one with a typo. */
export const keyFromSeed = (seed: string): KeyPair => {
  const pair = pairOf(seed.trim());
  return accelerated(seedOf(pair), () => pair);
};

const makers = { operator: createOperator, account: createAccount, user: createUser };
export const newKey = (kind: keyof typeof makers): KeyPair => {
  const pair = makers[kind]();
  return accelerated(seedOf(pair), () => pair);
};

export const newSeed = (kind: keyof typeof makers): string => seedOf(makers[kind]());

/** A user that the holder of a seed can name again without having kept it: always the same one for the same seed and text. */
export const derivedUser = (seed: string, of: string): KeyPair => {
  const derived = seedText('U', createHmac('sha256', seed).update(of).digest());
  return accelerated(derived, () => pairOf(derived));
};
