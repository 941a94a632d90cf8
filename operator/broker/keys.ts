import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';

/*
 * NATS keys. The library signs in plain JavaScript, 20 ms and more each; the same Ed25519 in node:crypto takes 0.2 ms, so a push to
 * hundreds of tenants does not hold up the event loop. Both give the same signature (keys.test.ts).
 */
export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** A seed's text is base32 of two prefix bytes, the 32 bytes of the key and a checksum, which `fromSeed` has verified. */
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

const accelerated = (pair: KeyPair): KeyPair => {
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, rawSeed(seedOf(pair))]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(key);
  const publicText = pair.getPublicKey();
  return {
    getPublicKey: () => publicText,
    getPrivateKey: () => pair.getPrivateKey(),
    getSeed: () => pair.getSeed(),
    sign: (input) => new Uint8Array(sign(null, input, key)),
    verify: (input, signature) => verify(null, input, publicKey, signature),
    clear: () => pair.clear(),
    seal: (input, recipient, nonce) => pair.seal(input, recipient, nonce),
    open: (input, sender) => pair.open(input, sender),
  };
};

/** `SO...`, `SA...` or `SU...` */
export const keyFromSeed = (seed: string): KeyPair => accelerated(fromSeed(new TextEncoder().encode(seed.trim())));

const makers = { operator: createOperator, account: createAccount, user: createUser };
export const newKey = (kind: keyof typeof makers): KeyPair => accelerated(makers[kind]());

export const newSeed = (kind: keyof typeof makers): string => seedOf(makers[kind]());
