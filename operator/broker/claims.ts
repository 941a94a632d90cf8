import { createHash } from 'node:crypto';
import { fmtCreds } from '@nats-io/jwt';
import type { KeyPair } from '@nats-io/nkeys';
import { z } from 'zod';
import { type Role, roles } from '../../runtime/nats/names.ts';
import { type Permissions, rolePermissions } from '../../runtime/nats/permissions.ts';
import { remembered, rememberedWith } from '../api/remembered.ts';
import type { AccountKeys, AccountLimits } from '../reconcile/ports.ts';
import { isSignedBy, keyFromSeed } from './keys.ts';

/*
 * NATS JWTs: what they hold and how they are signed. The only module that knows `@nats-io/jwt`, which validates nothing and whose
 * encoder takes `iat` from the clock; here `iat` is given, because between servers the newer one wins and two pushes may fall into one
 * second. Its encoder also adds a reply permission to each scoped role, which lets the role answer anybody.
 */
const permission = z.strictObject({ allow: z.array(z.string().min(1)).min(1) });
const response = z.strictObject({ max: z.int().positive(), ttl: z.int().positive() });
const userLimits = { subs: z.int(), data: z.int(), payload: z.int() };
const template = z.strictObject({
  ...userLimits,
  pub: permission,
  sub: permission,
  resp: response.optional(),
  bearer_token: z.literal(false),
  allowed_connection_types: z.array(z.string()).min(1),
});
const scopedKey = z.strictObject({
  kind: z.literal('user_scope'),
  key: z.string().regex(/^A[A-Z2-7]{55}$/),
  role: z.string().min(1),
  template,
});
/** Every limit is required: the server reads an absent one as zero. -1 is unlimited. */
const limitsClaim = z.strictObject({
  ...userLimits,
  imports: z.int(),
  exports: z.int(),
  wildcards: z.boolean(),
  conn: z.int().min(-1),
  leaf: z.int().min(-1),
  disallow_bearer: z.boolean(),
  mem_storage: z.int().min(-1),
  disk_storage: z.int().min(-1),
  streams: z.int().min(-1),
  consumer: z.int().min(-1),
  mem_max_stream_bytes: z.int(),
  disk_max_stream_bytes: z.int(),
  max_bytes_required: z.boolean(),
  max_ack_pending: z.int(),
});
const accountClaims = z.strictObject({
  type: z.literal('account'),
  version: z.literal(2),
  limits: limitsClaim,
  signing_keys: z.array(scopedKey).optional(),
  revocations: z.record(z.string(), z.int()).optional(),
});
export type AccountClaims = z.infer<typeof accountClaims>;

const operatorClaims = z.strictObject({
  type: z.literal('operator'),
  version: z.literal(2),
  signing_keys: z.array(z.string()).min(1),
  system_account: z.string(),
});
/** The system account has no JetStream and its users carry their own permissions. */
const systemClaims = z.strictObject({
  type: z.literal('account'),
  version: z.literal(2),
  limits: limitsClaim.pick({
    subs: true,
    data: true,
    payload: true,
    imports: true,
    exports: true,
    wildcards: true,
    conn: true,
    leaf: true,
    disallow_bearer: true,
  }),
});
const scopedUser = z.strictObject({
  type: z.literal('user'),
  version: z.literal(2),
  issuer_account: z.string(),
  tags: z.array(z.string()).optional(),
});
const freeUser = z.strictObject({
  ...userLimits,
  type: z.literal('user'),
  version: z.literal(2),
  issuer_account: z.string().optional(),
  pub: permission.optional(),
  sub: permission.optional(),
});
const deletion = z.strictObject({ type: z.literal('generic'), version: z.literal(2), accounts: z.array(z.string()) });
/** By their type: trying all of them one after the other takes longer than signing. */
const claims = {
  account: z.union([accountClaims, systemClaims]),
  operator: operatorClaims,
  user: z.union([scopedUser, freeUser]),
  generic: deletion,
};
type Claims = { [Type in keyof typeof claims]: z.infer<(typeof claims)[Type]> }[keyof typeof claims];

interface Subject {
  readonly name: string;
  /** Public key that the token is about. */
  readonly subject: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  /** Unix seconds. Account tokens never expire: at expiry all clients are dropped and JetStream may stay broken. */
  readonly expiresAt?: number;
}

const encodeSegment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = encodeSegment({ typ: 'JWT', alg: 'ed25519-nkey' });

/** Signs claims. Throws when they are not complete. */
export const encodeClaims = (nats: Claims, about: Subject, signer: KeyPair): string => {
  const body = {
    aud: 'NATS',
    ...(about.expiresAt === undefined ? {} : { exp: about.expiresAt }),
    iat: about.issuedAt,
    iss: signer.getPublicKey(),
    name: about.name,
    nats: claims[nats.type].parse(nats),
    sub: about.subject,
  };
  const id = createHash('sha256').update(JSON.stringify(body)).digest('base64url');
  const text = `${header}.${encodeSegment({ ...body, jti: id })}`;
  return `${text}.${Buffer.from(signer.sign(Buffer.from(text))).toString('base64url')}`;
};

export interface Token {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string;
  readonly issuedAt: number;
  readonly expiresAt: number | undefined;
  /** Untrusted until compared: whoever could push may have written anything. */
  readonly nats: Readonly<Record<string, unknown>>;
}
const envelope = z.object({
  iss: z.string(),
  sub: z.string(),
  name: z.string().default(''),
  iat: z.int(),
  exp: z.int().optional(),
  nats: z.record(z.string(), z.unknown()),
});

const algorithm = z.object({ alg: z.string() });
const decoded = (segment: string): string => Buffer.from(segment, 'base64url').toString();

/** Verifies the signature by the issuer that the token names and its form; `undefined` when it is neither. */
export const decodeToken = (jwt: string): Token | undefined => {
  try {
    const [head = '', body = '', signature = ''] = jwt.trim().split('.');
    const { iss, sub, name, iat, exp, nats } = envelope.parse(JSON.parse(decoded(body)));
    const { alg } = algorithm.parse(JSON.parse(decoded(head)));
    const isGenuine = isSignedBy(iss, `${head}.${body}`, Buffer.from(signature, 'base64url'));
    if (alg !== 'ed25519-nkey' || !isGenuine) return undefined;
    return { issuer: iss, subject: sub, name, issuedAt: iat, expiresAt: exp, nats };
  } catch {
    return undefined;
  }
};

export const formatCreds = (jwt: string, user: KeyPair): string => new TextDecoder().decode(fmtCreds(jwt, user));

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
};
/** Of what a token grants to whom by whose word: equal for two pushes of the same state, whatever their time. */
export const claimsHash: (token: Pick<Token, 'issuer' | 'subject' | 'name' | 'nats'>) => string = remembered((token) =>
  createHash('sha256')
    .update(JSON.stringify(sorted({ i: token.issuer, s: token.subject, n: token.name, c: token.nats })))
    .digest('hex'),
);

/** All that a role's users may do is in its signing key; the user tokens carry a name and a tag. `resp` only where the role has one. */
const scopeOf = (role: Role, { pub, sub, resp }: Permissions, seed: string): z.infer<typeof scopedKey> => ({
  kind: 'user_scope',
  key: keyFromSeed(seed).getPublicKey(),
  role,
  template: {
    subs: -1,
    data: -1,
    payload: -1,
    pub: { allow: [...pub] },
    sub: { allow: [...sub] },
    ...(resp ? { resp: { max: resp.max, ttl: resp.ttl } } : {}),
    bearer_token: false,
    allowed_connection_types: ['STANDARD'],
  },
});

/** Room in the account's connections for the operator's own one, and for the lost one that the server has not noticed yet. */
const operatorConnections = 2;

/** For the end of an account that somebody else has written over: what its streams need in order to be removed. */
export const anyLimits: AccountClaims['limits'] = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: 0,
  exports: 0,
  wildcards: false,
  conn: 0,
  leaf: 0,
  disallow_bearer: true,
  mem_storage: -1,
  disk_storage: -1,
  streams: -1,
  consumer: -1,
  mem_max_stream_bytes: 0,
  disk_max_stream_bytes: 0,
  max_bytes_required: true,
  max_ack_pending: -1,
};

const limitsOf = (limits: AccountLimits, open: boolean): AccountClaims['limits'] => ({
  ...anyLimits,
  payload: limits.maxPayload,
  conn: open ? limits.connections + operatorConnections : 0,
  mem_storage: limits.memory,
  disk_storage: limits.storage,
  streams: limits.streams,
});

/** A suspended account keeps its JetStream limits: without them its streams make the servers unhealthy for good. */
export const accountClaimsOf = (keys: AccountKeys, limits: AccountLimits, suspended: boolean): AccountClaims =>
  accounts(keys, [suspended, ...Object.values(limits)], () => accountClaimsWith(keys, limits, suspended));
const accounts = rememberedWith<AccountClaims>();

const accountClaimsWith = (keys: AccountKeys, limits: AccountLimits, suspended: boolean): AccountClaims => ({
  type: 'account',
  version: 2,
  limits: limitsOf(limits, !suspended),
  signing_keys: roles.map((role) => scopeOf(role, rolePermissions[role], keys.signing[role])),
});

/** Only the operator may log in: the state in which a tenant's streams are removed. */
export const closingClaims = (keys: AccountKeys, limits: AccountClaims['limits']): AccountClaims => ({
  type: 'account',
  version: 2,
  limits: { ...limits, conn: operatorConnections, leaf: 0 },
  signing_keys: [scopeOf('ops', rolePermissions.ops, keys.signing.ops)],
});

/** Nobody may log in; what a tenant's next claims open again. */
export const closedClaims = (keys: AccountKeys, limits: AccountClaims['limits']): AccountClaims => ({
  ...closingClaims(keys, limits),
  limits: { ...limits, conn: 0, leaf: 0 },
});

/**
 * What is left before an account's token is deleted. A server that was down during the delete brings back what it has, and that is this
 * instead of a working account.
 */
export const tombstoneClaims = (limits: AccountClaims['limits'], at: number): AccountClaims => ({
  type: 'account',
  version: 2,
  limits: { ...limits, conn: 0, leaf: 0 },
  revocations: { '*': at },
});

/** What a looked-up token says, when it has the form of ours. */
export const claimsIn: (token: Token) => AccountClaims | undefined = remembered(
  ({ nats }) => accountClaims.safeParse(nats).data,
);
/** What is deleted or closed keeps them. */
export const limitsIn = (token: Token): AccountClaims['limits'] | undefined => claimsIn(token)?.limits;
/** Whether nobody, or the operator alone, may log in. */
export const isClosed = (token: Token): boolean => {
  const found = claimsIn(token);
  return found !== undefined && (found.limits.conn === 0 || (found.signing_keys ?? []).length < roles.length);
};
export const isTombstone = (token: Token): boolean => {
  const found = claimsIn(token);
  return found !== undefined && found.limits.conn === 0 && found.revocations?.['*'] !== undefined;
};
