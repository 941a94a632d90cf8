import { z } from 'zod';
import { type Connector, defineBrokerSource } from '../connector.ts';
import { shape, text } from '../schema.ts';
import { cronForm, cronFormText, cronProblem, sixFields } from './cron.ts';

/*
 * A message at set times. The NATS server keeps the schedule and makes the messages, so nothing runs in between; the worker is started by a
 * message as by any other. Times that nobody worked on leave one message, not many.
 */
const zoneForm = '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$';
const zoneText = 'write the name of a time zone such as Europe/Helsinki or UTC';
const largestBody = 16 * 1024;

const cron = z
  .string()
  .min(1)
  .max(253)
  .superRefine((value, context) => {
    const problem = new RegExp(cronForm).test(value) ? cronProblem(value) : cronFormText;
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({
    description: 'When: 5 cron fields, or 6 with the second first.',
    doc: 'minute, hour, day of month, month, day of week. Fields take *, lists, ranges, steps and the names jan-dec and sun-sat.',
    'x-kubernetes-validations': [{ rule: `self.matches('${cronForm}')`, message: cronFormText }],
  });

const timeZone = z
  .string()
  .min(1)
  .max(64)
  .superRefine((value, context) => {
    const problem = new RegExp(zoneForm).test(value) ? zoneProblem(value) : zoneText;
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({
    description: 'IANA time zone of the fields; default UTC.',
    'x-kubernetes-validations': [{ rule: `self.matches('${zoneForm}')`, message: zoneText }],
  });

/** The server looks names up as they stand, capitals and all. */
const zoneProblem = (zone: string): string | undefined => {
  try {
    const known = new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
    const differs = known !== zone && known.toLowerCase() === zone.toLowerCase();
    return differs ? `time zones are written with their capitals: ${known}` : undefined;
  } catch {
    return `"${zone}" is not a known time zone: ${zoneText}`;
  }
};

const config = shape('Makes a message at set times.', {
  cron,
  timeZone: timeZone.optional(),
  body: text('Body of each message, JSON or text; default {}.', largestBody, {
    doc: 'Steps see JSON as values: a field `full` of the body is `body.full`.',
  }).optional(),
  type: text('CloudEvents type; default schedule.tick.', 253).optional(),
});

const scheduleSource = defineBrokerSource<z.infer<typeof config>>({
  name: 'schedule',
  summary: 'Makes a message at set times.',
  placement: 'broker',
  config,
  examples: () => [
    {
      why: 'every night, with a body for the steps',
      config: { cron: '30 2 * * *', timeZone: 'Europe/Helsinki', body: '{"report": "stock"}' },
    },
    { why: 'every ten seconds: six fields, the second first', config: { cron: '*/10 * * * * *' } },
  ],
  bind: (given) => ({
    stream: 'tick',
    schedule: {
      cron: sixFields(given.cron),
      timeZone: given.timeZone ?? 'UTC',
      type: given.type ?? 'schedule.tick',
      body: given.body ?? '{}',
      contentType: isJson(given.body ?? '{}') ? 'application/json' : 'text/plain; charset=utf-8',
    },
  }),
});

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

export const scheduleConnector: Connector = { name: 'schedule', source: scheduleSource };
