import { createPublicKey, sign, verify } from 'node:crypto';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { privateKeyOf } from '../../runtime/nats/creds.ts';

/*
 * NATS keys. The library signs in plain JavaScript, 20 ms and more each; the same Ed25519 in node:crypto takes 0.2 ms, so a push to
 * hundreds of tenants does not hold up the event loop. Both give the same signature (keys.test.ts).
 */
export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());

const accelerated = (pair: KeyPair): KeyPair => {
  const key = privateKeyOf(seedOf(pair));
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
