import { decode, encodeAccount, encodeUser, newScopedSigner, parseCreds } from '@nats-io/jwt';
import { describe, expect, test } from 'vitest';
import { makeOperator } from '../../../operator/broker/bootstrap.ts';
import {
  accountClaimsOf,
  claimsHash,
  closingClaims,
  decodeToken,
  encodeClaims,
  isTombstone,
  limitsIn,
  tombstoneClaims,
} from '../../../operator/broker/claims.ts';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { keyFromSeed, newKey, newSeed } from '../../../operator/broker/keys.ts';
import type { AccountKeys } from '../../../operator/reconcile/ports.ts';

const accountSeed = newSeed('account');
const account = keyFromSeed(accountSeed);
const keys: AccountKeys = {
  account: account.getPublicKey(),
  accountSeed,
  signing: {
    worker: newSeed('account'),
    intake: newSeed('account'),
    replay: newSeed('account'),
    gateway: newSeed('account'),
    ops: newSeed('account'),
  },
};
const limits = { connections: 100, storage: 1024 ** 3, memory: 0, streams: 50, maxPayload: 1024 ** 2 };
const operator = newKey('operator');
const about = { name: 'acme', subject: keys.account, issuedAt: 1_700_000_000 };
const claims = accountClaimsOf(keys, limits, false);

describe('account claims', () => {
  test('come back as they were signed', () => {
    const token = decodeToken(encodeClaims(claims, about, operator));
    expect(token).toEqual({
      issuer: operator.getPublicKey(),
      subject: keys.account,
      name: 'acme',
      issuedAt: 1_700_000_000,
      expiresAt: undefined,
      nats: claims,
    });
  });

  test('are encoded as the library encodes them, but for time and id', async () => {
    const theirs = decode<Record<string, unknown>>(
      await encodeAccount('acme', account, { ...claims } as object, { signer: operator }),
    );
    const ours = decode<Record<string, unknown>>(encodeClaims(claims, about, operator));
    const same = (token: typeof ours) => ({ ...token, iat: 0, jti: '' });
    expect(same(ours)).toEqual(same(theirs));
  });

  test('are the same bytes for the same state, and have another hash for each change', () => {
    expect(encodeClaims(accountClaimsOf(keys, limits, false), about, operator)).toBe(
      encodeClaims(claims, about, operator),
    );
    const hash = (nats: object, name = 'acme', issuer = 'O') =>
      claimsHash({ issuer, subject: keys.account, name, nats: nats as Record<string, unknown> });
    const shuffled = Object.fromEntries(Object.entries(claims).reverse());
    expect(hash(shuffled)).toBe(hash(claims));
    const others = [
      hash(accountClaimsOf(keys, { ...limits, connections: 101 }, false)),
      hash(accountClaimsOf(keys, limits, true)),
      hash(accountClaimsOf({ ...keys, signing: { ...keys.signing, ops: newSeed('account') } }, limits, false)),
      hash(claims, 'globex'),
      hash(claims, 'acme', 'another'),
    ];
    expect(new Set([hash(claims), ...others]).size).toBe(6);
  });

  test('give the reply permission to the worker alone; the library gives one to every role', () => {
    const roles = claims.signing_keys?.map(({ role, template }) => [role, template.resp !== undefined]);
    expect(roles).toEqual([
      ['gateway', false],
      ['intake', false],
      ['ops', false],
      ['replay', false],
      ['worker', true],
    ]);
    expect(newScopedSigner(account, 'gateway', {}).template).toHaveProperty('resp');
  });

  test('suspended let nobody in and keep all that JetStream stands on', () => {
    const { limits: open } = claims;
    const { limits: closed } = accountClaimsOf(keys, limits, true);
    expect(closed).toEqual({ ...open, conn: 0, leaf: 0 });
    expect(closed.disk_storage).toBe(limits.storage);
  });

  test('closing and tombstone keep them, too', () => {
    const closing = closingClaims(keys, claims.limits);
    expect(closing.limits).toMatchObject({ disk_storage: limits.storage, conn: 2 });
    expect(closing.signing_keys?.map(({ role }) => role)).toEqual(['ops']);
    const tombstone = tombstoneClaims(claims.limits, 5);
    expect(tombstone).toMatchObject({ limits: { disk_storage: limits.storage, conn: 0 }, revocations: { '*': 5 } });
    const token = decodeToken(encodeClaims(tombstone, about, operator));
    expect(token && isTombstone(token)).toBe(true);
    expect(token && limitsIn(token)).toEqual(tombstone.limits);
    const suspended = decodeToken(encodeClaims(accountClaimsOf(keys, limits, true), about, operator));
    expect(suspended && isTombstone(suspended)).toBe(false);
  });

  const missing = Object.keys(claims.limits);
  test.each(missing)('are refused without the limit %s, which the server would read as zero', (name) => {
    const without = Object.fromEntries(Object.entries(claims.limits).filter(([key]) => key !== name));
    expect(() => encodeClaims({ ...claims, limits: without as never }, about, operator)).toThrow();
  });
});

describe('tokens', () => {
  test('that were changed, cut or are none are not read', () => {
    const jwt = encodeClaims(claims, about, operator);
    const [head, body, signature] = jwt.split('.');
    const forged = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(body ?? '', 'base64url').toString()), sub: 'A' }),
    );
    for (const text of [
      '',
      'x',
      jwt.slice(0, -9),
      `${head}.${forged.toString('base64url')}.${signature}`,
      `${head}.${body}`,
    ])
      expect(decodeToken(text), text.slice(0, 20)).toBeUndefined();
  });
});

describe('users', () => {
  test('carry name, tag and end, and no permissions of their own', async () => {
    const now = 1_700_000_000_000;
    const user = makeUser(keys, 'worker', 'orders', 24 * 3_600_000, { now });
    expect(user.expiresAt).toBe(now + 24 * 3_600_000);
    const parsed = await parseCreds(new TextEncoder().encode(user.creds));
    expect(parsed.aid).toBe(keys.account);
    expect(parsed.uc).toMatchObject({
      name: 'worker-orders',
      iss: keyFromSeed(keys.signing.worker).getPublicKey(),
      exp: user.expiresAt / 1000,
      nats: { tags: ['i:orders'], type: 'user', version: 2, issuer_account: keys.account },
    });
    expect(Object.keys(parsed.uc.nats).sort()).toEqual(['issuer_account', 'tags', 'type', 'version']);
  });

  test('are encoded as the library encodes scoped ones', async () => {
    const key = newKey('user');
    const theirs = decode(
      await encodeUser(
        'gateway',
        key,
        keyFromSeed(keys.signing.gateway),
        { issuer_account: keys.account },
        {
          scopedUser: true,
        },
      ),
    );
    const ours = decode(makeUser(keys, 'gateway', undefined, 60_000).jwt);
    expect(ours.nats).toEqual(theirs.nats);
  });

  test('of roles without a tag in their templates need none', () => {
    const token = decodeToken(makeUser(keys, 'gateway', undefined, 60_000).jwt);
    expect(token?.nats).not.toHaveProperty('tags');
  });
});

test('what an installation starts with names each other', () => {
  const made = makeOperator();
  const operatorToken = decodeToken(made.operatorJwt);
  const system = decodeToken(made.systemJwt);
  expect(operatorToken).toMatchObject({
    subject: keyFromSeed(made.identitySeed).getPublicKey(),
    nats: { signing_keys: [keyFromSeed(made.signingSeed).getPublicKey()], system_account: made.systemAccount },
  });
  expect(system).toMatchObject({ subject: made.systemAccount, issuer: keyFromSeed(made.signingSeed).getPublicKey() });
  expect(keyFromSeed(made.systemSeed).getPublicKey()).toBe(made.systemAccount);
});
