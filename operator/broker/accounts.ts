import type { KeyPair } from '@nats-io/nkeys';
import { rememberedWith } from '../api/remembered.ts';
import { type AccountKeys, type AccountLimits, type AccountState, BrokerError } from '../reconcile/ports.ts';
import {
  type AccountClaims,
  accountClaimsOf,
  claimsHash,
  claimsIn,
  decodeToken,
  encodeClaims,
  isTombstone,
  type Token,
} from './claims.ts';
import type { Servers } from './servers.ts';

/*
 * Account tokens on the servers. What a server answers to a push says that it stored the token, not that the token is valid, and anybody
 * with system credentials may have written over ours: so each state is what LOOKUP shows on every server.
 */
export interface Accounts {
  ensure(tenant: string, keys: AccountKeys, limits: AccountLimits, suspended: boolean): Promise<AccountState>;
  /** Pushes these claims and the revocations that are in force, unless all servers have them. */
  push(tenant: string, account: string, claims: AccountClaims): Promise<AccountState>;
  /** Ends logins, all that were issued or will be until then (Unix seconds). `undefined` when there is no account to log in to. */
  revoke(tenant: string, account: string, users: readonly string[], until: number): Promise<AccountState | undefined>;
  /** The newest token that a server has, whoever wrote it. Throws while a server is away and the others have none. */
  find(account: string): Promise<Token | undefined>;
}

export const createAccounts = (servers: Servers, signer: KeyPair): Accounts => {
  const issuer = signer.getPublicKey();
  // Verifying a token in plain JavaScript takes some 20 ms, and the same text is looked up again and again.
  const known = new Map<string, { text: string; token: Token | undefined }>();
  const decoded = (account: string, text: string): Token | undefined => {
    const seen = known.get(account);
    if (seen?.text === text) return seen.token;
    const token = text === '' ? undefined : decodeToken(text);
    if (token) known.set(account, { text, token });
    return token;
  };

  /** One entry an answering server. */
  const lookup = async (account: string): Promise<(Token | undefined)[]> =>
    (await servers.lookup(account)).map((text) => decoded(account, text));

  /** The claims of the newest token that we have signed. */
  const ownClaims = (account: string, tokens: readonly (Token | undefined)[]): AccountClaims | undefined => {
    const own = newestOf(tokens.filter((token) => token?.issuer === issuer && token.subject === account));
    return own && claimsIn(own);
  };

  const push = async (tenant: string, account: string, state: AccountClaims): Promise<AccountState> => {
    const total = await servers.count();
    const before = await lookup(account);
    const claims = withRevocations(state, inForce(ownClaims(account, before)));
    const wanted = wantedHash(claims, [issuer, account, tenant], () =>
      claimsHash({ issuer, subject: account, name: tenant, nats: claims }),
    );
    const isOurs = (token: Token | undefined): boolean => token !== undefined && claimsHash(token) === wanted;
    // A server that is down gets the token from the others when it is back.
    if (before.length > 0 && before.every(isOurs)) return stateOf(account, before.length, total, []);
    // Between servers the newer token wins, whatever wrote it, so ours must be newer than all that is there.
    const newest = Math.max(0, ...before.map((token) => token?.issuedAt ?? 0));
    const issuedAt = Math.max(Math.floor(Date.now() / 1000), newest + 1);
    const verdict = await servers.update(encodeClaims(claims, { name: tenant, subject: account, issuedAt }, signer));
    const after = (await lookup(account)).filter(isOurs).length;
    return stateOf(account, after, verdict.total, verdict.refusals);
  };

  const find = async (account: string): Promise<Token | undefined> => {
    const tokens = await lookup(account);
    const total = await servers.count();
    if (tokens.length < total && tokens.every((token) => token === undefined))
      throw new BrokerError('Unreachable', `${tokens.length} of ${total} NATS servers answer for account ${account}`);
    return newestOf(tokens);
  };

  return {
    push,
    find,
    revoke: async (tenant, account, users, until) => {
      const token = await find(account);
      if (!token || isTombstone(token)) return undefined;
      const claims = ownClaims(account, [token]);
      if (!claims)
        throw new BrokerError(
          'Invalid',
          `Tenant ${tenant}: somebody else has written over its account; logins are revoked when the Tenant has repaired it`,
        );
      const before = inForce(claims);
      const ended = Object.fromEntries(users.map((user) => [user, before[user] ?? until]));
      return push(tenant, account, { ...claims, revocations: { ...before, ...ended } });
    },
    ensure: async (tenant, keys, limits, suspended) => {
      if (limits.storage === 0 && limits.memory === 0)
        throw new BrokerError(
          'Invalid',
          `Tenant ${tenant}: an account without storage loses its streams; suspend the tenant instead of setting its storage to 0`,
        );
      return push(tenant, keys.account, accountClaimsOf(keys, limits, suspended));
    },
  };
};

const newestOf = (tokens: readonly (Token | undefined)[]): Token | undefined =>
  tokens.reduce((a, b) => ((b?.issuedAt ?? 0) > (a?.issuedAt ?? 0) ? b : a), undefined);

/** A login is revoked up to the end of its life, so its entry says itself when it has become needless. */
const inForce = (claims: AccountClaims | undefined): Record<string, number> => {
  const now = Math.floor(Date.now() / 1000);
  return Object.fromEntries(Object.entries(claims?.revocations ?? {}).filter(([, until]) => until > now));
};
const withRevocations = (claims: AccountClaims, revocations: Record<string, number>): AccountClaims =>
  Object.keys(revocations).length === 0
    ? claims
    : { ...claims, revocations: { ...revocations, ...claims.revocations } };

const wantedHash = rememberedWith<string>();

const stateOf = (id: string, acked: number, total: number, refusals: readonly string[]): AccountState => {
  const state = { id, serversAcked: acked, serversTotal: total, inSync: acked >= total };
  if (state.inSync) return state;
  const message =
    refusals.length > 0
      ? `NATS refused the account: ${refusals.join('; ')}`
      : `${acked} of ${total} NATS servers have the account; the others get it when they are back`;
  return { ...state, message };
};
