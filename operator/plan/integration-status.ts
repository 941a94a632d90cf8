import { catalog } from '../../runtime/catalog.ts';
import type { EffectiveIntegration } from '../api/effective.ts';
import type { IntegrationStatus } from '../api/integration.ts';
import type { KubeObject, StreamState } from '../reconcile/ports.ts';
import type { BusStatus } from './bus-gap.ts';
import { secondsTime, stampConditions, statusConditions } from './conditions.ts';
import { type Facts, integrationVerdicts } from './integration-conditions.ts';
import { describeParts, planEndpoints } from './routes.ts';
import type { Work } from './work.ts';
import { workerSelector } from './worker.ts';

export interface Observed {
  readonly inbox: StreamState | undefined;
  /** As the scaler saw it; `undefined` while it does not know. */
  readonly work: Work | undefined;
  readonly deadLetters: StreamState | undefined;
  /** The shared streams that it reads, with its own consumers. */
  readonly subscribed: Partial<Readonly<Record<'bus' | 'tick', StreamState>>>;
  readonly bus: BusStatus | undefined;
  readonly lastDeadLetter: { readonly reason: string; readonly time: string } | undefined;
  readonly deployment: KubeObject | undefined;
}

/** The whole status, ready to be written; the same facts give the same status, so that nothing is written in vain. */
export const integrationStatus = (
  object: KubeObject,
  facts: Facts,
  observed: Observed,
  spec: EffectiveIntegration | undefined,
  now: number,
): IntegrationStatus => {
  const previous = (object['status'] ?? {}) as IntegrationStatus;
  const conditions = stampConditions(integrationVerdicts(facts, statusConditions(previous), now), {
    previous: statusConditions(previous),
    generation: facts.generation,
    now,
  });
  const { name, namespace = '' } = object.metadata;
  return {
    observedGeneration: facts.generation,
    conditions,
    ...(spec
      ? {
          sources: describeParts(spec.sources, catalog.sources).slice(0, 512),
          sinks: describeParts(spec.sinks, catalog.sinks).slice(0, 1024),
          endpoints: planEndpoints({ namespace, integration: name }, spec),
          selector: Object.entries(workerSelector(name))
            .map(([label, value]) => `${label}=${value}`)
            .join(','),
        }
      : {}),
    replicas: podCount(observed.deployment, 'replicas'),
    readyReplicas: podCount(observed.deployment, 'readyReplicas'),
    ...messageFigures(observed, previous),
  };
};

const podCount = (deployment: KubeObject | undefined, field: 'replicas' | 'readyReplicas'): number =>
  (deployment?.['status'] as Record<string, number> | undefined)?.[field] ?? 0;

const messageFigures = (observed: Observed, previous: IntegrationStatus): Partial<IntegrationStatus> => {
  const { inbox, deadLetters, lastDeadLetter, subscribed, bus, work } = observed;
  const consumers = Object.values(subscribed).flatMap((stream) => stream.consumers);
  const newest = [inbox?.lastTime, ...consumers.map(({ lastTime }) => lastTime)].filter((time) => time !== undefined);
  const lastMessageTime = freshTime(newest.toSorted().at(-1), previous.lastMessageTime);
  const letters = deadLetters
    ? {
        count: deadLetters.messages,
        ...(lastDeadLetter && deadLetters.messages > 0 ? lastFailure(lastDeadLetter) : {}),
      }
    : previous.deadLetters;
  const lag = work ? roughLag(lagOf(work), previous.lag) : (previous.lag ?? noLag(observed));
  return {
    ...(lag ? { lag } : {}),
    ...(bus ? { bus } : {}),
    ...(letters ? { deadLetters: letters } : {}),
    ...(lastMessageTime ? { lastMessageTime } : {}),
  };
};

/** Bounded as the schema wants it: a code comes from whoever failed. */
const lastFailure = ({ reason, time }: NonNullable<Observed['lastDeadLetter']>) => ({
  lastReason: reason.slice(0, 128) || 'Unknown',
  ...(Number.isNaN(Date.parse(time)) ? {} : { lastTime: secondsTime(Date.parse(time)) }),
});

/** Of streams that were made a moment ago it is known at once. */
const noLag = ({ inbox, subscribed }: Observed): Lag | undefined => {
  const isRead = Object.values(subscribed).every(({ consumers }) =>
    consumers.every(({ pending, ackPending }) => pending === 0 && ackPending === 0),
  );
  return inbox?.messages === 0 && isRead ? { pending: 0, inFlight: 0 } : undefined;
};
/** What is parked waits, too: for its next attempt. */
const lagOf = ({ waiting, inFlight, parked }: Work) => ({ pending: waiting + parked, inFlight });

type Lag = NonNullable<IntegrationStatus['lag']>;
/** Only a new order of magnitude is written: exact figures are metrics, and each write wakes every watcher. */
export const roughLag = (current: Lag, previous: Lag | undefined): Lag =>
  previous &&
  magnitude(previous.pending) === magnitude(current.pending) &&
  magnitude(previous.inFlight) === magnitude(current.inFlight)
    ? previous
    : current;
/** How many digits. */
export const magnitude = (count: number): number => (count <= 0 ? 0 : Math.floor(Math.log10(count)) + 1);

const minute = 60_000;
/** To the minute, for the same reason. */
const freshTime = (time: string | undefined, previous: string | undefined): string | undefined => {
  const at = Date.parse(time ?? '');
  if (Number.isNaN(at) || at <= 0) return previous;
  return previous && Math.abs(at - Date.parse(previous)) < minute ? previous : secondsTime(at);
};
