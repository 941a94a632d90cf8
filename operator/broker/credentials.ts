import type { KeyPair } from '@nats-io/nkeys';
import { integrationTag, type Role, roles } from '../../runtime/nats/names.ts';
import { rolePermissions } from '../../runtime/nats/permissions.ts';
import { remembered } from '../api/remembered.ts';
import { type AccountKeys, BrokerError } from '../reconcile/ports.ts';
import { encodeClaims, formatCreds } from './claims.ts';
import { derivedUser, keyFromSeed, newKey } from './keys.ts';

/*
 * Users of a tenant's account: the only place that makes them, because a template whose tag is missing loses that rule silently and the
 * login still succeeds.
 */
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const needsTag = (role: Role): boolean =>
  [...rolePermissions[role].pub, ...rolePermissions[role].sub].some((subject) => subject.includes('{{tag(i)}}'));

const tagsOf = (role: Role, integration: string | undefined): string[] | undefined => {
  if (!needsTag(role)) return undefined;
  if (integration === undefined || !label.test(integration))
    throw new BrokerError(
      'Invalid',
      `Credentials of role ${role} need the name of an Integration (a DNS label) and got ${JSON.stringify(integration)}`,
    );
  return [integrationTag(integration)];
};

export interface UserToken {
  readonly jwt: string;
  readonly seed: Uint8Array;
  readonly creds: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/**
 * Whose login it is: an Integration's key follows from its uid. So all that was ever issued for it can be revoked, also what nobody has
 * kept, and one that is made again under the same name has another.
 */
export const loginOf = (keys: AccountKeys, role: Role, uid: string): KeyPair => derivedUser(keys.signing[role], uid);

/** The public keys of all logins of an Integration, issued or not. */
export const loginsOf = (keys: AccountKeys, uid: string): string[] =>
  roles.filter(needsTag).map((role) => loginOf(keys, role, uid).getPublicKey());

/** Reading a key takes longer than signing with it, and one signs for all Integrations of a tenant. */
const signers = remembered((_keys: AccountKeys) => new Map<Role, KeyPair>());
const signerOf = (keys: AccountKeys, role: Role): KeyPair => {
  const known = signers(keys);
  const found = known.get(role) ?? keyFromSeed(keys.signing[role]);
  known.set(role, found);
  return found;
};

export const makeUser = (
  keys: AccountKeys,
  role: Role,
  integration: string | undefined,
  lifetimeMs: number,
  { now = Date.now(), user = newKey('user') }: { now?: number; user?: KeyPair } = {},
): UserToken => {
  const tags = tagsOf(role, integration);
  const issuedAt = Math.floor(now / 1000);
  const expiresAt = Math.floor((now + lifetimeMs) / 1000);
  const jwt = encodeClaims(
    { type: 'user', version: 2, issuer_account: keys.account, ...(tags ? { tags } : {}) },
    { name: tags ? `${role}-${integration}` : role, subject: user.getPublicKey(), issuedAt, expiresAt },
    signerOf(keys, role),
  );
  return { jwt, seed: user.getSeed(), creds: formatCreds(jwt, user), expiresAt: expiresAt * 1000 };
};
