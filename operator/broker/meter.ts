import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BrokerError, type LagReport, type Lags, type ServerFacts, type StreamLag } from '../reconcile/ports.ts';
import { changedFigures } from './changed-figures.ts';
import type { LazyConnection } from './connection.ts';
import { reasonOf } from './failures.ts';
import { collect, type Figures, readFigures, type Seen } from './jetstream-figures.ts';
import { askServersForBytes } from './scatter.ts';
import { settledAccounts } from './settled.ts';
import { consumersOf, isSameFill, isSameState, lagOf } from './stream-lag.ts';
import { youngGarbage } from './young-garbage.ts';

/*
 * What waits where, for all tenants over one connection of the system account. Polls only while somebody listens. In a cluster each server
 * tells about its own copies; only the leader's figures are right.
 *
 * Streams are asked for every second, or more often where that costs little: how soon an idle Integration wakes depends on it. Consumers
 * are asked for every ten seconds where something may have happened, every minute everywhere, and those of one account whenever somebody
 * needs them now.
 */
export interface Meter extends Lags {
  /** With what changed since the last look, and what is gone. Polling goes on until the last listener is gone. */
  subscribe(listener: (report: LagReport) => void): () => void;
  /** Looks once at everything, consumers too. */
  look(): Promise<readonly StreamLag[]>;
  facts(): Promise<ServerFacts>;
  /** Looks that failed so far. */
  failures(): number;
  /** How long the look that is under way has taken, or the pause between two: more than some seconds means that it stands still. */
  silentMs(): number;
  close(): void;
}

interface MeterOptions {
  /** Between two looks at the streams; within these bounds, so that looking takes a small share of the time. */
  readonly everyMs?: { readonly least: number; readonly most: number };
  readonly consumersEveryMs?: number;
  /** All of them, whether something seems to have happened or not. */
  readonly allConsumersEveryMs?: number;
  /** Accounts. Answers of more than some hundred kilobytes are large objects for V8, which it collects dearly. */
  readonly pageSize?: number;
}

/** Looking may take this share of the time, where that leaves it within the bounds. */
const share = 1 / 40;
/** Accounts that somebody waits for are asked one by one; for more it is cheaper to ask for all. */
const fewAccounts = 4;
/** As for those whose consumers are due. */
const fewOfAll = 1 / 4;
/** Every look tells of the servers, too; what one told so recently is not asked for again. */
const factsFreshMs = 5_000;
/** A stream is gone when so many looks did not show it: accounts come and go between two pages of one look. */
const goneAfterLooks = 2;

export const createMeter = (
  connection: LazyConnection,
  serverCount: () => Promise<number>,
  log: Logger,
  {
    everyMs = { least: 100, most: 1_000 },
    consumersEveryMs = 10_000,
    allConsumersEveryMs = 60_000,
    pageSize = 16,
  }: MeterOptions = {},
): Meter => {
  const known = new Map<string, Map<string, Known>>();
  const listeners = new Set<(report: LagReport) => void>();
  let timer: NodeJS.Timeout | undefined;
  let polling = false;
  let looks = 0;
  let lookedAt: number | undefined;
  const settled = settledAccounts();
  let consumersAt = Number.NEGATIVE_INFINITY;
  let allConsumersAt = Number.NEGATIVE_INFINITY;
  let movedAt = performance.now();
  let failures = 0;
  let failing = false;
  /** On asking, since the last pause. */
  let spentMs = 0;
  let told: { at: number; servers: ReturnType<typeof serversIn> } | undefined;
  let wanted: { accounts: Set<string>; done: Promise<void> } | undefined;

  const lookAtChanged = changedFigures();
  const dropped = youngGarbage();

  const ask = async (query: object, read = readWhole): Promise<Figures[]> => {
    const started = performance.now();
    const answers = await askServersForBytes(await connection.get(), {
      subject: '$SYS.REQ.SERVER.PING.JSZ',
      payload: JSON.stringify(query),
      inboxPrefix: '_INBOX_meter',
      expected: await serverCount(),
    });
    if (answers.length === 0)
      throw new BrokerError('Unreachable', 'No NATS server told its JetStream figures within 3 s');
    const parsed = answers.map(read);
    dropped(answers.reduce((sum, { length }) => sum + length, 0));
    spentMs += performance.now() - started;
    told = { at: performance.now(), servers: serversIn(parsed) };
    return parsed;
  };

  /** Takes up what the servers said, and tells what of it is new. */
  const take = (seen: Seen, at: number, withConsumers: boolean): StreamLag[] => {
    const changed: StreamLag[] = [];
    if (withConsumers) settled.read(seen, at);
    else for (const accountId of seen.keys()) settled.moved(accountId, at);
    for (const [accountId, streams] of seen) {
      let ofAccount = known.get(accountId);
      if (!ofAccount) known.set(accountId, (ofAccount = new Map()));
      for (const [name, found] of streams) {
        const before = ofAccount.get(name);
        if (before) before.look = looks;
        // Two looks may overtake each other.
        if (before && before.at > at) continue;
        const isNew = !before || !isSameState(before.lag, found) || (withConsumers && !isSameFill(before.lag, found));
        if (before && !isNew && !withConsumers) continue;
        const lag = {
          ...lagOf(accountId, name, found),
          ...(withConsumers ? { consumers: found.consumers, consumersAt: at } : consumersOf(before?.lag)),
        };
        ofAccount.set(name, { lag, at, look: looks });
        if (isNew) changed.push(lag);
      }
    }
    return changed;
  };
  const dropGone = (): StreamLag[] => {
    const gone: StreamLag[] = [];
    for (const [accountId, streams] of known) {
      for (const [name, { lag, look }] of streams)
        if (looks - look >= goneAfterLooks) {
          streams.delete(name);
          gone.push(lag);
        }
      if (streams.size > 0) continue;
      known.delete(accountId);
      settled.forget(accountId);
    }
    return gone;
  };

  const lookAtAll = async (withConsumers: boolean): Promise<LagReport> => {
    const at = performance.now();
    const seen: Seen = new Map();
    const same: { readonly account: string; readonly streams: readonly string[] }[] = [];
    // What one of several servers says of an account does not tell it all.
    const isOnly = !withConsumers && (await serverCount()) === 1;
    const look = lookAtChanged();
    const readChanged = (answer: Buffer) => {
      const { figures, same: unchanged } = look.read(answer);
      same.push(...unchanged);
      return figures;
    };
    for (let offset = 0; ; offset += pageSize) {
      const query = { accounts: true, streams: true, consumer: withConsumers, limit: pageSize, offset };
      const page = await ask(query, isOnly ? readChanged : readWhole);
      collect(page, seen);
      if (page.every(({ data }) => offset + pageSize >= (data?.total ?? 0))) break;
    }
    looks += 1;
    if (isOnly) look.done();
    for (const { account, streams } of same) {
      const ofAccount = known.get(account);
      for (const stream of streams) {
        const found = ofAccount?.get(stream);
        if (found && found.look >= looks - 1) found.look = looks;
      }
    }
    const changed = take(seen, at, withConsumers);
    if (withConsumers) consumersAt = allConsumersAt = at;
    lookedAt = at;
    return { changed, gone: dropGone() };
  };
  const lookAt = async (accounts: readonly string[]): Promise<LagReport> => {
    const at = performance.now();
    const seen: Seen = new Map();
    await Promise.all(
      accounts.map(async (id) => collect(await ask({ account: id, streams: true, consumer: true }), seen)),
    );
    return { changed: take(seen, at, true), gone: [] };
  };
  const lookAtDue = async (at: number): Promise<LagReport> => {
    if (at - consumersAt < consumersEveryMs) return lookAtAll(false);
    if (at - allConsumersAt >= allConsumersEveryMs) return lookAtAll(true);
    const { changed, gone } = await lookAtAll(false);
    const [same, due] = partition([...known.keys()], settled.is);
    if (due.length > fewOfAll * known.size) return lookAtAll(true);
    const found = await lookAt(due);
    // Figures that cannot have changed are as good as new ones.
    for (const accountId of same)
      for (const stream of known.get(accountId)?.values() ?? []) stream.lag = { ...stream.lag, consumersAt: at };
    consumersAt = at;
    return { changed: [...changed, ...found.changed], gone };
  };

  const tell = (report: LagReport) => {
    if (report.changed.length + report.gone.length === 0) return;
    for (const listener of listeners) {
      try {
        listener(report);
      } catch (error) {
        log.error({ err: error }, 'somebody who listens to what waits in NATS failed');
      }
    }
  };
  const poll = async (): Promise<void> => {
    polling = true;
    const started = performance.now();
    movedAt = started;
    try {
      const report = await lookAtDue(started);
      failing = false;
      tell(report);
    } catch (error) {
      failures += 1;
      if (!failing)
        log.warn({ reason: reasonOf(error) }, 'NATS does not tell what waits in the streams; it is asked again');
      failing = true;
    }
    polling = false;
    movedAt = performance.now();
    const tookMs = movedAt - started;
    // From one look to the next; a server that takes long to answer is not asked all the time.
    const pauseMs = failing ? everyMs.most : Math.min(spentMs / share, everyMs.most - tookMs);
    spentMs = 0;
    if (listeners.size > 0)
      timer = setTimeout(() => void poll(), Math.min(everyMs.most, Math.max(everyMs.least, tookMs / 2, pauseMs)));
    else timer = undefined;
  };

  return {
    lag: (accountId, name) => known.get(accountId)?.get(name)?.lag,
    lookedAt: () => lookedAt,
    refresh: (accountId) => {
      // Those who ask in the same moment are answered together.
      if (!wanted) {
        const accounts = new Set<string>();
        const done = setImmediate().then(async () => {
          wanted = undefined;
          tell(accounts.size > fewAccounts ? await lookAtAll(true) : await lookAt([...accounts]));
        });
        wanted = { accounts, done };
      }
      wanted.accounts.add(accountId);
      return wanted.done;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      if (!polling) timer ??= setTimeout(() => void poll(), 0);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearTimeout(timer);
        timer = undefined;
      };
    },
    look: async () => {
      await lookAtAll(true);
      return [...known.values()].flatMap((streams) => [...streams.values()].map(({ lag }) => lag));
    },
    facts: async () => {
      const { info } = await connection.get();
      const fresh = told && performance.now() - told.at < factsFreshMs ? told.servers : undefined;
      const { version, syncAlways } = fresh ?? serversIn(await ask({}));
      return { version: version ?? info?.version ?? 'unknown', maxPayload: info?.max_payload ?? 0, syncAlways };
    },
    failures: () => failures,
    silentMs: () => (listeners.size > 0 ? performance.now() - movedAt : 0),
    close: () => {
      listeners.clear();
      clearTimeout(timer);
      timer = undefined;
    },
  };
};

const readWhole = (answer: Buffer): Figures => readFigures(answer.toString());

const partition = <Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] => {
  const { first = [], second = [] } = Object.groupBy(items, (item) => (isFirst(item) ? 'first' : 'second'));
  return [first, second];
};

interface Known {
  lag: StreamLag;
  readonly at: number;
  /** The last look that showed it. */
  look: number;
}
/** What every answer says of the server that gave it. */
const serversIn = ([first, ...others]: readonly Figures[]): Pick<ServerFacts, 'syncAlways'> & { version?: string } => {
  const flags = [first, ...others].map((found) => found?.data?.config?.sync_always ?? false);
  return {
    ...(first && { version: first.server.ver }),
    // All servers say their JetStream settings; where one has none of them, it leaves the field out.
    syncAlways: first?.data?.config ? flags.every(Boolean) : undefined,
  };
};
