import type { KeyPair } from '@nats-io/nkeys';
import { rememberedWith } from '../api/remembered.ts';
import { type AccountKeys, type AccountLimits, type AccountState, BrokerError } from '../reconcile/ports.ts';
import { type AccountClaims, accountClaimsOf, claimsHash, decodeToken, encodeClaims, type Token } from './claims.ts';
import type { Servers } from './servers.ts';

/*
 * Account tokens on the servers. What a server answers to a push says that it stored the token, not that the token is valid, and anybody
 * with system credentials may have written over ours: so each state is what LOOKUP shows on every server.
 */
export interface Accounts {
  ensure(tenant: string, keys: AccountKeys, limits: AccountLimits, suspended: boolean): Promise<AccountState>;
  /** Pushes exactly these claims, unless all servers have them. */
  push(tenant: string, account: string, claims: AccountClaims): Promise<AccountState>;
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

  const push = async (tenant: string, account: string, claims: AccountClaims): Promise<AccountState> => {
    const wanted = wantedHash(claims, [issuer, account, tenant], () =>
      claimsHash({ issuer, subject: account, name: tenant, nats: claims }),
    );
    const isOurs = (token: Token | undefined): boolean => token !== undefined && claimsHash(token) === wanted;
    const total = await servers.count();
    const before = await lookup(account);
    // A server that is down gets the token from the others when it is back.
    if (before.length > 0 && before.every(isOurs)) return stateOf(account, before.length, total, []);
    // Between servers the newer token wins, whatever wrote it, so ours must be newer than all that is there.
    const newest = Math.max(0, ...before.map((token) => token?.issuedAt ?? 0));
    const issuedAt = Math.max(Math.floor(Date.now() / 1000), newest + 1);
    const verdict = await servers.update(encodeClaims(claims, { name: tenant, subject: account, issuedAt }, signer));
    const after = (await lookup(account)).filter(isOurs).length;
    return stateOf(account, after, verdict.total, verdict.refusals);
  };

  return {
    push,
    find: async (account) => {
      const tokens = await lookup(account);
      const total = await servers.count();
      if (tokens.length < total && tokens.every((token) => token === undefined))
        throw new BrokerError('Unreachable', `${tokens.length} of ${total} NATS servers answer for account ${account}`);
      return tokens.reduce((a, b) => ((b?.issuedAt ?? 0) > (a?.issuedAt ?? 0) ? b : a), undefined);
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
