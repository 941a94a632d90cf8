import { Body } from '../message.ts';
import { encodeMessage, type Headers, withoutControl } from './envelope.ts';
import { cronSubject, tickSubject } from './names.ts';

/*
 * Schedules are kept and served by the NATS server: a message under `cron.` says when and whither, and at each due time the server stores a
 * copy of it, without the headers about the schedule, under `tick.`. A copy has no identity of its own; it gets one from when it was stored.
 */
/** As a connector declares it (connector.ts). */
interface Schedule {
  readonly cron: string;
  readonly timeZone: string;
  readonly type: string;
  readonly body: string;
  readonly contentType: string;
}
export interface ScheduleEntry {
  readonly source: string;
  readonly subject: string;
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export const scheduleEntry = (
  { tenant, integration, source }: { tenant: string; integration: string; source: string },
  { cron, timeZone, type, body, contentType }: Schedule,
): ScheduleEntry => {
  const attrs = {
    id: '',
    source: `/${tenant}/${integration}/${source}`,
    type,
    specversion: '1.0',
    datacontenttype: contentType,
  } as const;
  const encoded = encodeMessage({ attrs, headers: {}, body: Body.fromBytes(Buffer.from(body)) });
  const { 'ce-id': _none, ...event } = encoded.headers;
  const target = tickSubject(integration, source);
  return {
    source,
    subject: cronSubject(integration, source),
    target,
    headers: {
      ...event,
      'Nats-Schedule': cron,
      'Nats-Schedule-Time-Zone': timeZone,
      'Nats-Schedule-Target': target,
    },
    body: encoded.body,
  };
};

/**
 * The envelope of a tick that was stored at that time (Unix milliseconds). The server stores it within the second in which it is due, unless
 * it was down; so a tick that is delivered twice has one id, and two ticks have two.
 */
export const tickHeaders = (headers: Headers, storedMs: number): Record<string, string> => {
  const time = new Date(Math.floor(storedMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
  const id = `${headers['ce-source'] ?? ''}/${time}`;
  return { ...withoutControl(headers), 'ce-id': id, 'ce-time': time, 'ce-correlationid': id };
};
