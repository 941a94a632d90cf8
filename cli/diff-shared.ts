import type { IntegrationStatus } from '../operator/api/integration.ts';
import type { KubeObject, StreamSpec } from '../operator/reconcile/ports.ts';
import type { Effect } from './diff.ts';
import type { Reading, Rendered } from './render.ts';

/* What changes about the streams that Integrations share: what they hear, and what the bus keeps. */
export const readingEffects = (was: Rendered, willBe: Rendered, live: readonly KubeObject[]): Effect[] =>
  willBe.readings.flatMap((after) => {
    const before = was.readings.find(({ name }) => name === after.name);
    const object = `Integration ${after.name}`;
    if (!before) return [];
    return [...typeEffects(before, after, lagOf(after.name, live)), ...scheduleEffects(before, after)].map(
      (effect) => ({
        object,
        effect,
      }),
    );
  });

const lagOf = (name: string, live: readonly KubeObject[]): number => {
  const found = live.find(
    ({ kind, metadata }) => kind === 'Integration' && `${metadata.namespace}/${metadata.name}` === name,
  );
  const { lag } = (found?.['status'] ?? {}) as IntegrationStatus;
  return (lag?.pending ?? 0) + (lag?.inFlight ?? 0);
};

const typeEffects = (before: Reading, after: Reading, waiting: number): string[] => {
  const added = after.types.filter((type) => !before.types.includes(type));
  const removed = before.types.filter((type) => !after.types.includes(type));
  return [
    ...(added.length > 0 ? [`hears events of type ${added.join(', ')} from the next one on`] : []),
    ...(removed.length > 0
      ? [
          `hears events of type ${removed.join(', ')} no more, and those of the ${waiting} that wait (about) are not delivered`,
        ]
      : []),
  ];
};

const timesOf = ({ cron, timeZone }: Reading['schedules'][number]) => `${cron} ${timeZone}`;
const scheduleEffects = (before: Reading, after: Reading): string[] => [
  ...after.schedules.flatMap((schedule) => {
    const old = before.schedules.find(({ source }) => source === schedule.source);
    if (!old) return [`schedule ${schedule.source} begins: ${timesOf(schedule)}`];
    return timesOf(old) === timesOf(schedule)
      ? []
      : [`schedule ${schedule.source}: ${timesOf(schedule)} instead of ${timesOf(old)}`];
  }),
  ...before.schedules
    .filter(({ source }) => !after.schedules.some((schedule) => schedule.source === source))
    .map(({ source }) => `schedule ${source} ends; a message of it that waits goes, too`),
];

/** The bus drops what is old, whoever has read it. */
export const busEffects = (tenant: string, before: StreamSpec, after: StreamSpec): Effect[] => {
  const object = `Tenant ${tenant}`;
  const hours = (ms = 0) => `${ms / 3_600_000} h`;
  return [
    ...(after.maxBytes < before.maxBytes
      ? [
          `the bus: at most ${after.maxBytes} bytes instead of ${before.maxBytes}; the oldest events beyond that go at once`,
        ]
      : []),
    ...(after.maxBytes > before.maxBytes
      ? [`the bus: room for ${after.maxBytes} bytes instead of ${before.maxBytes}; what is stored stays`]
      : []),
    ...((after.maxAgeMs ?? 0) < (before.maxAgeMs ?? 0)
      ? [`the bus: events older than ${hours(after.maxAgeMs)} go at once, read or not`]
      : []),
  ].map((effect) => ({ object, effect }));
};
