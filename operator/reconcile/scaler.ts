import { bucketStream, deadLetterStream, gatewayBucket, inboxStream } from '../../runtime/nats/names.ts';
import type { Reconcile } from '../control/controller.ts';
import { decideReplicas, type ScalingPolicy, type ScalingState } from '../plan/decide-replicas.ts';
import { magnitude } from '../plan/integration-status.ts';
import { Deployments } from '../plan/kinds.ts';
import { replicasOf } from '../plan/scaling.ts';
import { type DeliveryMarks, type Work, workOf } from '../plan/work.ts';
import { scaleTo } from './apply.ts';
import { type CalledSince, createCalled } from './called.ts';
import type { Cluster, LagReport, Lags, StreamLag } from './ports.ts';

/*
 * Scales the workers with the work: the one writer of their replicas. A controller as the others: its keys are Integrations, and what
 * wakes it is what moved in NATS, the reconciler that put a worker in place, or a time that came. Nothing is done for who sleeps.
 */
export interface ScalingTarget {
  readonly integration: string;
  readonly account: string;
  readonly policy: ScalingPolicy;
  /** Shared streams that its worker listens to, each by a consumer of the Integration's name. */
  readonly sharedStreams: readonly string[];
  readonly deployment: { readonly name: string; readonly namespace: string };
  readonly partitions: number;
  readonly attemptMs: number;
  readonly concurrency: number;
  /** Where its workers answer requests. */
  readonly calledSince?: CalledSince | undefined;
}

export interface Scaler {
  /** What to scale from now on, and how; decides at once. */
  track(key: string, target: ScalingTarget): void;
  forget(key: string): void;
  /** Pods that are wanted now; `undefined` before the first decision. */
  wanted(key: string): number | undefined;
  /** What it has to do, as last seen; `undefined` while that is not known. */
  work(key: string): Work | undefined;
  keys(): Iterable<string>;
  /** What moved in NATS. */
  moved(report: LagReport): void;
  readonly reconcile: Reconcile;
}

interface ScalerOptions {
  readonly cluster: Cluster;
  readonly lags: Lags;
  /** Puts a key into the controller's queue. */
  readonly wake: (key: string) => void;
  /** What the status shows has changed. */
  readonly changed: (key: string) => void;
  /** A stream or a consumer is gone that should be there. */
  readonly broken: (key: string) => void;
  readonly now?: () => number;
}

interface Tracked {
  target: ScalingTarget;
  state: ScalingState | undefined;
  marks: DeliveryMarks;
  work: Work | undefined;
  calledAt: number | undefined;
  /** A consumer that should be there is not. */
  isMissing: boolean;
  /** When that was told last. */
  toldAt: number;
  /** What the status shows of it, and what was told last. */
  shown: string | undefined;
}

/** What was seen longer ago is not known any more. */
const staleAfterMs = 15_000;
/** Decisions wait for the next look, which may be a moment later than they asked for. */
const notSoonerMs = 250;
/** What is in work may be given back until its next attempt, and NATS tells nothing of it: only time shows it. */
const inFlightMs = 5_000;
const never = Number.POSITIVE_INFINITY;
/** To whoever makes a consumer anew, and may not succeed. */
const tellAgainMs = 5_000;

export const createScaler = (options: ScalerOptions): Scaler => {
  const { cluster, lags, wake, changed, broken, now = () => performance.now() } = options;
  const tracked = new Map<string, Tracked>();
  const byStream = new Map<string, Set<string>>();

  const called = createCalled((account, integration) => {
    for (const key of byStream.get(`${account}/${gatewayStream}`) ?? []) {
      const entry = tracked.get(key);
      if (entry?.target.integration !== integration) continue;
      entry.calledAt = lags.lookedAt() ?? now();
      wake(key);
    }
  });

  const link = (key: string, { target }: Tracked) => {
    for (const name of streamsOf(target)) {
      const keys = byStream.get(name);
      if (keys) keys.add(key);
      else byStream.set(name, new Set([key]));
    }
    const { account, calledSince } = target;
    const bucket = lags.lag(account, gatewayStream);
    if (calledSince && bucket) called.begin(account, bucket.lastSequence);
  };
  const unlink = (key: string, { target }: Tracked) => {
    for (const name of streamsOf(target)) {
      const keys = byStream.get(name);
      keys?.delete(key);
      if (keys?.size === 0) byStream.delete(name);
    }
  };
  const lookAtCalls = (account: string, sequence: number) => {
    called.begin(account, sequence);
    for (const key of byStream.get(`${account}/${gatewayStream}`) ?? []) {
      const read = tracked.get(key)?.target.calledSince;
      if (read) return called.moved(account, sequence, read);
    }
  };

  const look = (entry: Tracked): void => {
    const seen = see(entry.target, entry, lags, now());
    entry.isMissing = seen === 'missing';
    entry.work = seen === undefined || seen === 'missing' ? undefined : { ...seen.work, calledAt: entry.calledAt };
    if (seen !== undefined && seen !== 'missing') entry.marks = seen.marks;
  };

  const reconcile: Reconcile = async (key) => {
    const entry = tracked.get(key);
    if (!entry) return undefined;
    const { target } = entry;
    const live = await cluster.get(Deployments, target.deployment.name, target.deployment.namespace);
    if (!live) return undefined;
    // A new operator begins where the old one stood.
    const before = entry.state ?? { replicas: replicasOf(live) ?? 0 };
    const decide = () => {
      look(entry);
      // At the time of what was seen: while nobody looks, nobody becomes idle.
      return decideReplicas(target.policy, before, entry.work, lags.lookedAt() ?? now());
    };
    let decided = decide();
    if (entry.isMissing || (entry.work && isWorthAsking(entry, before.replicas, decided.state.replicas, lags))) {
      // Without an answer it is decided by what is known: too many pods harm less than none.
      await lags.refresh(target.account).catch(() => undefined);
      decided = decide();
    }
    if (entry.isMissing && now() - entry.toldAt > tellAgainMs) {
      entry.toldAt = now();
      broken(key);
    }
    // It may have been forgotten meanwhile, and its Deployment with it.
    if (tracked.get(key) !== entry) return undefined;
    const shown = shownOf(entry, lags);
    if (entry.shown !== undefined && shown !== entry.shown) changed(key);
    entry.shown = shown;
    entry.state = decided.state;
    await scaleTo(cluster, live, decided.state.replicas);
    const again = Math.min(decided.againInMs ?? never, entry.work?.inFlight ? inFlightMs : never);
    return again === never ? undefined : { requeueAfterMs: Math.max(notSoonerMs, again) };
  };

  return {
    track: (key, target) => {
      const known = tracked.get(key);
      const entry: Tracked = known ?? {
        target,
        state: undefined,
        marks: {},
        work: undefined,
        calledAt: undefined,
        isMissing: false,
        toldAt: Number.NEGATIVE_INFINITY,
        shown: undefined,
      };
      if (known) unlink(key, known);
      entry.target = target;
      tracked.set(key, entry);
      link(key, entry);
      wake(key);
    },
    forget: (key) => {
      const entry = tracked.get(key);
      if (entry) unlink(key, entry);
      tracked.delete(key);
      if (entry && !byStream.has(`${entry.target.account}/${gatewayStream}`)) called.forget(entry.target.account);
    },
    wanted: (key) => tracked.get(key)?.state?.replicas,
    work: (key) => tracked.get(key)?.work,
    keys: () => tracked.keys(),
    moved: (report) => {
      const each = (streams: readonly StreamLag[], tell: (key: string) => void) => {
        for (const { account, stream } of streams)
          if (stream !== gatewayStream) for (const key of byStream.get(`${account}/${stream}`) ?? []) tell(key);
      };
      each(report.changed, wake);
      each(report.gone, broken);
      for (const { account, stream, lastSequence } of report.changed)
        if (stream === gatewayStream && byStream.has(`${account}/${stream}`)) lookAtCalls(account, lastSequence);
    },
    reconcile,
  };
};

const gatewayStream = bucketStream(gatewayBucket);
const streamsOf = ({ account, integration, sharedStreams, calledSince }: ScalingTarget): string[] =>
  [
    inboxStream(integration),
    deadLetterStream(integration),
    ...sharedStreams,
    ...(calledSince ? [gatewayStream] : []),
  ].map((stream) => `${account}/${stream}`);

const see = (target: ScalingTarget, { marks, state }: Tracked, lags: Lags, now: number) => {
  const at = lags.lookedAt();
  if (at === undefined || now - at > staleAfterMs) return undefined;
  const inbox = lags.lag(target.account, inboxStream(target.integration));
  const shared = target.sharedStreams.flatMap((stream) => lags.lag(target.account, stream) ?? []);
  if (!inbox || shared.length < target.sharedStreams.length) return undefined;
  const held = 2 * target.concurrency * Math.max(1, state?.replicas ?? 0);
  return workOf({ ...target, held }, inbox, shared, marks);
};

/** How old figures of consumers may be while nothing depends on them. */
const freshMs = 2_000;

/**
 * Whether the consumers' figures are older than the streams', and newer ones could change what is decided. Whoever sleeps is woken at once
 * by what came into its inbox; but what moved in a shared stream may be for others.
 */
const isWorthAsking = ({ target }: Tracked, before: number, after: number, lags: Lags): boolean => {
  const { policy, account } = target;
  if (policy.mode === 'Fixed') return false;
  const lookedAt = lags.lookedAt() ?? 0;
  const ageMs = (stream: string) => lookedAt - (lags.lag(account, stream)?.consumersAt ?? Number.NEGATIVE_INFINITY);
  const inbox = inboxStream(target.integration);
  if (before === 0 && after === 0) return target.sharedStreams.some((stream) => ageMs(stream) > 0);
  if (before === 0) return false;
  if (after !== before) return ageMs(inbox) > 0;
  const most = Math.ceil((lags.lag(account, inbox)?.messages ?? 0) / policy.lagPerReplica);
  return most > before && before < policy.maxReplicas && ageMs(inbox) > freshMs;
};

/** As coarse as the status: each change of it is a write. */
const shownOf = ({ target, work }: Tracked, lags: Lags): string => {
  const inbox = lags.lag(target.account, inboxStream(target.integration));
  const letters = lags.lag(target.account, deadLetterStream(target.integration));
  const minute = inbox?.lastTime?.slice(0, 'YYYY-MM-DDTHH:MM'.length);
  const amounts = work && [magnitude(work.waiting + work.parked), magnitude(work.inFlight)];
  return JSON.stringify([amounts, minute, letters?.messages, letters?.lastSequence]);
};
