import type { StreamLag } from '../reconcile/ports.ts';
import type { SameStreams } from './changed-figures.ts';
import type { Seen } from './jetstream-figures.ts';
import { consumersOf, isSameFill, isSameState, lagOf } from './stream-lag.ts';

/*
 * The streams of all accounts as the meter saw them last, and in which of its looks. Of an account in which nothing moves only the account is
 * touched: there may be ten thousand streams each second.
 */
export interface KnownStreams {
  lag(account: string, stream: string): StreamLag | undefined;
  accounts(): string[];
  all(): StreamLag[];
  /** A look at everything: what follows is what it has shown. */
  nextLook(): void;
  /** Takes up what the servers said, with the consumers or without, and tells what of it is new. */
  take(seen: Seen, at: number, withConsumers: boolean): StreamLag[];
  /** The look showed the same as the one before. */
  keep(same: SameStreams): void;
  /** Nothing can have happened in the account since the look before, which is not told again. */
  still(account: string): void;
  /** The consumers' figures are those of that time, because they cannot have changed. */
  keepConsumers(account: string, at: number): void;
  /** Streams and accounts that looks have not shown any more. */
  dropGone(): { readonly streams: readonly StreamLag[]; readonly accounts: readonly string[] };
}
interface Known {
  readonly lag: Omit<StreamLag, 'consumersAt'> & { consumersAt: number | undefined };
  readonly at: number;
  /** The last look that showed it, if its account was not steady since. */
  look: number;
}
interface Account {
  readonly streams: Map<string, Known>;
  steady: Steady | undefined;
}
/** Look after look shows this list and nothing new. */
interface Steady {
  readonly list: readonly string[];
  readonly since: number;
  at: number;
}

/** A stream is gone when so many looks did not show it: accounts come and go between two pages of one look. */
const goneAfterLooks = 2;

export const knownStreams = (): KnownStreams => {
  const known = new Map<string, Account>();
  let looks = 0;
  const keep: KnownStreams['keep'] = ({ account: id, streams: list }) => {
    const account = known.get(id);
    if (!account) return;
    if (account.steady?.list === list && account.steady.at === looks - 1) {
      account.steady.at = looks;
      return;
    }
    endSteady(account);
    for (const name of list) {
      const found = account.streams.get(name);
      // One that was not in the look before is no more to be believed than then.
      if (found && found.look >= looks - 1) found.look = looks;
    }
    account.steady = { list, since: looks, at: looks };
  };
  return {
    lag: (account, stream) => known.get(account)?.streams.get(stream)?.lag,
    accounts: () => [...known.keys()],
    all: () => [...known.values()].flatMap(({ streams }) => [...streams.values()].map(({ lag }) => lag)),
    nextLook: () => void (looks += 1),
    take: (seen, at, withConsumers) => {
      const changed: StreamLag[] = [];
      for (const [id, streams] of seen) {
        const account = known.get(id) ?? { streams: new Map<string, Known>(), steady: undefined };
        known.set(id, account);
        endSteady(account);
        for (const [name, found] of streams) {
          const before = account.streams.get(name);
          if (before) before.look = looks;
          // Two looks may overtake each other.
          if (before && before.at > at) continue;
          const isNew = !before || !isSameState(before.lag, found) || (withConsumers && !isSameFill(before.lag, found));
          if (!isNew && !withConsumers) continue;
          const consumers = withConsumers ? { consumers: found.consumers, consumersAt: at } : consumersOf(before?.lag);
          const lag = { ...lagOf(id, name, found), ...consumers };
          account.streams.set(name, { lag, at, look: looks });
          if (isNew) changed.push(lag);
        }
      }
      return changed;
    },
    keep,
    still: (id) => {
      const account = known.get(id);
      if (account) keep({ account: id, streams: account.steady?.list ?? [...account.streams.keys()] });
    },
    keepConsumers: (account, at) => {
      for (const { lag } of known.get(account)?.streams.values() ?? []) lag.consumersAt = at;
    },
    dropGone: () => {
      const gone: StreamLag[] = [];
      const accounts: string[] = [];
      for (const [id, { streams, steady }] of known) {
        // Whatever was not in the list is gone since.
        if (steady?.at === looks && looks - steady.since >= goneAfterLooks) continue;
        for (const [name, { lag, look }] of streams)
          if (looks - lookOf(look, steady) >= goneAfterLooks) {
            streams.delete(name);
            gone.push(lag);
          }
        if (streams.size > 0) continue;
        known.delete(id);
        accounts.push(id);
      }
      return { streams: gone, accounts };
    },
  };
};

const lookOf = (look: number, steady: Steady | undefined): number =>
  steady !== undefined && look >= steady.since ? Math.max(look, steady.at) : look;
const endSteady = (account: Account): void => {
  const { streams, steady } = account;
  if (!steady) return;
  for (const stream of streams.values()) stream.look = lookOf(stream.look, steady);
  account.steady = undefined;
};
