import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BrokerError, type LagReport, type Lags, type ServerFacts, type StreamLag } from '../reconcile/ports.ts';
import { accountMarks } from './account-marks.ts';
import { changedFigures, type SameStreams } from './changed-figures.ts';
import type { LazyConnection } from './connection.ts';
import { reasonOf } from './failures.ts';
import { collect, type Figures, readFigures, type Seen } from './jetstream-figures.ts';
import { knownStreams } from './known-streams.ts';
import { askServersForBytes } from './scatter.ts';
import { settledAccounts } from './settled.ts';
import { youngGarbage } from './young-garbage.ts';

/*
 * What waits where, for all tenants over one connection of the system account. Polls only while somebody listens. In a cluster each server
 * tells about its own copies; only the leader's figures are right.
 *
 * Streams are asked for every second, or more often where that costs little: how soon an idle Integration wakes depends on it. Between two
 * looks at all of them only those of accounts in which something may have happened are. Consumers are asked for every ten seconds where something may
 * have happened, every five minutes everywhere, and those of one account whenever somebody needs them now.
 */
export interface Meter extends Lags {
  /** With what changed since the last look, and what is gone. Polling goes on until the last listener is gone. */
  subscribe(listener: (report: LagReport) => void): () => void;
  /** NATS has not answered for some seconds, or does again. */
  onTurn(listener: () => void): void;
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
  /** NATS is away when it has not answered for so long. One answer that does not come in time says little: a busy server is late. */
  readonly awayMs?: number;
  /** Of one answer, which is about whole accounts: many small ones take longer, and a large one holds up all else. */
  readonly pageBytes?: number;
}

/** Looking may take this share of the time, where that leaves it within the bounds. */
const share = 1 / 40;
/** Accounts that somebody waits for are asked one by one; for more it is cheaper to ask for all. */
const fewAccounts = 4;
/** As for those whose consumers are due. */
const fewOfAll = 1 / 4;
/** As for those in which something may have happened: to tell of one, a server counts all its streams. */
const fewMoved = 1 / 8;
/** Every look tells of the servers, too; what one told so recently is not asked for again. */
const factsFreshMs = 5_000;

export const createMeter = (
  connection: LazyConnection,
  serverCount: () => Promise<number>,
  log: Logger,
  {
    everyMs = { least: 100, most: 1_000 },
    consumersEveryMs = 10_000,
    allConsumersEveryMs = 300_000,
    awayMs = 6_000,
    pageBytes = 512 * 1024,
  }: MeterOptions = {},
): Meter => {
  const known = knownStreams();
  const listeners = new Set<(report: LagReport) => void>();
  const turns: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let polling = false;
  let lookedAt: number | undefined;
  const settled = settledAccounts();
  let consumersAt = Number.NEGATIVE_INFINITY;
  let allConsumersAt = Number.NEGATIVE_INFINITY;
  let movedAt = performance.now();
  let failures = 0;
  /** Since when no look succeeds. */
  let failingSince: number | undefined;
  let isAway = false;
  /** On asking, since the last pause. */
  let spentMs = 0;
  let told: { at: number; servers: ReturnType<typeof serversIn> } | undefined;
  let wanted: { accounts: Set<string>; done: Promise<void> } | undefined;

  /** Accounts. */
  let pageSize = 16;
  const lookAtChanged = changedFigures();
  const dropped = youngGarbage();

  const askAll = async (subject: string, query: object): Promise<Buffer[]> => {
    const started = performance.now();
    const answers = await askServersForBytes(await connection.get(), {
      subject,
      payload: JSON.stringify(query),
      inboxPrefix: '_INBOX_meter',
      expected: await serverCount(),
    });
    dropped(answers.reduce((sum, { length }) => sum + length, 0));
    spentMs += performance.now() - started;
    return answers;
  };
  const marks = accountMarks(async (subject, query) => {
    const answers = await askAll(subject, query);
    return answers.length >= (await serverCount()) ? answers : undefined;
  });
  const ask = async (query: object, read = readWhole): Promise<{ figures: Figures[]; longest: number }> => {
    const answers = await askAll('$SYS.REQ.SERVER.PING.JSZ', query);
    if (answers.length === 0)
      throw new BrokerError('Unreachable', 'No NATS server told its JetStream figures within 3 s');
    const started = performance.now();
    const figures = answers.map(read);
    const lengths = answers.map(({ length }) => length);
    spentMs += performance.now() - started;
    told = { at: performance.now(), servers: serversIn(figures) };
    return { figures, longest: Math.max(...lengths) };
  };

  /** Takes up what the servers said, and tells what of it is new. */
  const take = (seen: Seen, at: number, withConsumers: boolean): StreamLag[] => {
    if (withConsumers) settled.read(seen, at);
    else for (const account of seen.keys()) settled.moved(account, at);
    return known.take(seen, at, withConsumers);
  };

  /** A look at the streams of all accounts as they are at that time or later; `tell` asks for those of which the look before does not tell already. */
  const look = async (withConsumers: boolean, isWhole: boolean, at: number, tell: Tell): Promise<LagReport> => {
    const seen: Seen = new Map();
    const same: SameStreams[] = [];
    // What one of several servers says of an account does not tell it all.
    const isOnly = !withConsumers && (await serverCount()) === 1;
    const compared = lookAtChanged();
    const readChanged = (answer: Buffer) => {
      const { figures, same: unchanged } = compared.read(answer);
      same.push(...unchanged);
      return figures;
    };
    const still = await tell(async (query) => {
      const { figures, longest } = await ask({ ...query, streams: true }, isOnly ? readChanged : readWhole);
      collect(figures, seen);
      return { figures, longest };
    });
    known.nextLook();
    if (isOnly) compared.done(isWhole);
    for (const unchanged of same) known.keep(unchanged);
    for (const account of still) known.still(account);
    const changed = take(seen, at, withConsumers);
    if (withConsumers) consumersAt = allConsumersAt = at;
    lookedAt = at;
    const gone = known.dropGone();
    for (const account of gone.accounts) settled.forget(account);
    return { changed, gone: gone.streams };
  };
  const lookAtAll = (withConsumers: boolean): Promise<LagReport> =>
    look(withConsumers, true, performance.now(), async (read) => {
      const limit = pageSize;
      for (let offset = 0, most = 0; ; offset += limit) {
        const { figures, longest } = await read({ accounts: true, consumer: withConsumers, limit, offset });
        most = Math.max(most, longest);
        pageSize = bounded(Math.round((limit * pageBytes) / most), 1, 1024);
        if (figures.every(({ data }) => offset + limit >= (data?.total ?? 0))) return [];
      }
    });
  const lookWhereMoved = async (): Promise<LagReport> => {
    const at = performance.now();
    const found = await marks.look(at);
    if (!found || found.moved.length > Math.max(fewAccounts, found.all.length * fewMoved)) return lookAtAll(false);
    return look(false, false, at, async (read) => {
      await Promise.all(found.moved.map((account) => read({ account })));
      const moved = new Set(found.moved);
      return found.all.filter((account) => !moved.has(account));
    });
  };
  const lookAt = async (accounts: readonly string[]): Promise<LagReport> => {
    const at = performance.now();
    const seen: Seen = new Map();
    await Promise.all(
      accounts.map(async (id) => collect((await ask({ account: id, streams: true, consumer: true })).figures, seen)),
    );
    return { changed: take(seen, at, true), gone: [] };
  };
  const lookAtDue = async (at: number): Promise<LagReport> => {
    if (at - consumersAt < consumersEveryMs) return lookWhereMoved();
    if (at - allConsumersAt >= allConsumersEveryMs) return lookAtAll(true);
    const { changed, gone } = await lookAtAll(false);
    const accounts = known.accounts();
    const [same, due] = partition(accounts, settled.is);
    if (due.length > fewOfAll * accounts.length) return lookAtAll(true);
    const found = await lookAt(due);
    // Figures that cannot have changed are as good as new ones.
    for (const account of same) known.keepConsumers(account, at);
    consumersAt = at;
    return { changed: [...changed, ...found.changed], gone };
  };

  /** One that fails takes nothing from the others, and polling goes on. */
  const each = <Listener>(all: Iterable<Listener>, call: (listener: Listener) => void) => {
    for (const listener of all) {
      try {
        call(listener);
      } catch (error) {
        log.error({ err: error }, 'somebody who listens to what waits in NATS failed');
      }
    }
  };
  const tell = (report: LagReport) => {
    if (report.changed.length + report.gone.length > 0) each(listeners, (listener) => listener(report));
  };
  const turn = (nowAway: boolean) => {
    if (isAway === nowAway) return;
    isAway = nowAway;
    each(turns, (listener) => listener());
  };
  const poll = async (): Promise<void> => {
    polling = true;
    const started = performance.now();
    movedAt = started;
    try {
      const report = await lookAtDue(started);
      failingSince = undefined;
      turn(false);
      tell(report);
    } catch (error) {
      failures += 1;
      if (failingSince === undefined)
        log.warn({ reason: reasonOf(error) }, 'NATS does not tell what waits in the streams; it is asked again');
      failingSince ??= started;
      if (performance.now() - failingSince >= awayMs) turn(true);
    }
    polling = false;
    movedAt = performance.now();
    const tookMs = movedAt - started;
    // From one look to the next; a server that takes long to answer is not asked all the time.
    const pauseMs = failingSince !== undefined ? everyMs.most : Math.min(spentMs / share, everyMs.most - tookMs);
    spentMs = 0;
    if (listeners.size > 0)
      timer = setTimeout(() => void poll(), Math.min(everyMs.most, Math.max(everyMs.least, tookMs / 2, pauseMs)));
    else timer = undefined;
  };

  return {
    lag: known.lag,
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
    onTurn: (listener) => void turns.push(listener),
    look: async () => {
      await lookAtAll(true);
      return known.all();
    },
    facts: async () => {
      const { info } = await connection.get();
      const fresh = told && performance.now() - told.at < factsFreshMs ? told.servers : undefined;
      const { version, syncAlways } = fresh ?? serversIn((await ask({})).figures);
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

/** Of `query`, what the servers said; for `tell`, the accounts that are as they were. */
type Read = (query: object) => Promise<{ readonly figures: readonly Figures[]; readonly longest: number }>;
type Tell = (read: Read) => Promise<readonly string[]>;

const bounded = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));
const readWhole = (answer: Buffer): Figures => readFigures(answer.toString());

const partition = <Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] => {
  const { first = [], second = [] } = Object.groupBy(items, (item) => (isFirst(item) ? 'first' : 'second'));
  return [first, second];
};

/** What every answer says of the server that gave it. */
const serversIn = ([first, ...others]: readonly Figures[]): Pick<ServerFacts, 'syncAlways'> & { version?: string } => {
  const flags = [first, ...others].map((found) => found?.data?.config?.sync_always ?? false);
  return {
    ...(first && { version: first.server.ver }),
    // All servers say their JetStream settings; where one has none of them, it leaves the field out.
    syncAlways: first?.data?.config ? flags.every(Boolean) : undefined,
  };
};
