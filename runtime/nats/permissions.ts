import { longestCallSeconds } from '../schema.ts';
import {
  bodyHead,
  bodyKey,
  bodyStream,
  bodySubject,
  bodySubjects,
  callSubject,
  deadLetterSubject,
  inboxPrefix,
  peerSubject,
  type Role,
} from './names.ts';

/*
 * What each role may do in its tenant's account, as templates of a scoped signing key: `{{tag(i)}}` is the integration. Tried on a
 * real server with more than sixty refusals (test/operator/broker/permissions.nats.test.ts). A missing tag silently drops a rule, so
 * users are made in one place only (operator/broker/credentials.ts).
 */
export interface Permissions {
  readonly pub: readonly string[];
  readonly sub: readonly string[];
  /** A reply permission for at most `max` messages within `ttl` (ns). Written only for request-reply workers. */
  readonly resp?: { readonly max: number; readonly ttl: number };
}

const i = '{{tag(i)}}';
const second = 1_000_000_000;
const ownState = [`$KV.state.${i}.>`, `$JS.API.DIRECT.GET.KV_state.$KV.state.${i}.>`];
/** Both forms of ack subjects: `$JS.ACK.<stream>...` and `$JS.ACK.<domain>.<account hash>.<stream>...`; the domain is `_` here. */
const acks = (streamAndConsumer: string) => [`$JS.ACK.${streamAndConsumer}.>`, `$JS.ACK._.*.${streamAndConsumer}.>`];

export const rolePermissions: Record<Role, Permissions> = {
  worker: {
    pub: [
      ...['INFO', 'MSG.NEXT', 'UNPIN'].map((call) => `$JS.API.CONSUMER.${call}.inbox_${i}.*`),
      ...acks(`inbox_${i}`),
      ...['bus', 'tick'].flatMap((stream) => [
        ...['INFO', 'MSG.NEXT', 'UNPIN'].map((call) => `$JS.API.CONSUMER.${call}.${stream}.${i}`),
        ...acks(`${stream}.${i}`),
      ]),
      `inbox.${i}.*.*`,
      deadLetterSubject(i, '*'),
      'bus.*',
      peerSubject(i),
      bodySubjects(i),
      `$JS.API.DIRECT.GET.${bodyStream(i)}.${bodySubjects(i)}`,
      ...ownState,
    ],
    sub: [`${inboxPrefix('worker', i)}.>`, callSubject(i), peerSubject(i)],
    resp: { max: 1, ttl: (longestCallSeconds + 5) * second },
  },
  intake: { pub: [`inbox.${i}.*.*`, bodySubjects(i), ...ownState], sub: [`${inboxPrefix('intake', i)}.>`] },
  gateway: {
    pub: [
      'inbox.*.*.*',
      bodySubjects('*'),
      'call.*',
      '$KV.gateway.applied.>',
      '$KV.gateway.wake.*',
      '$KV.answer.*.*',
      '$JS.API.DIRECT.GET.KV_answer.$KV.answer.*.*',
      '$JS.API.STREAM.INFO.KV_gateway',
      '$JS.API.CONSUMER.CREATE.KV_gateway.>',
      '$JS.API.CONSUMER.DELETE.KV_gateway.*',
      '$JS.API.CONSUMER.INFO.KV_gateway.*',
      '$JS.FC.KV_gateway.>',
      '$JS.API.DIRECT.GET.KV_gateway.>',
    ],
    sub: [`${inboxPrefix('gateway')}.>`],
  },
  ops: {
    pub: [
      '$JS.API.INFO',
      ...['CREATE', 'UPDATE', 'DELETE', 'INFO', 'PURGE'].map((call) => `$JS.API.STREAM.${call}.*`),
      '$JS.API.STREAM.LIST',
      '$JS.API.STREAM.NAMES',
      '$JS.API.CONSUMER.CREATE.>',
      ...['DURABLE.CREATE', 'DELETE', 'INFO', 'PAUSE'].map((call) => `$JS.API.CONSUMER.${call}.*.*`),
      '$JS.API.CONSUMER.LIST.*',
      '$JS.API.DIRECT.GET.>',
      '$KV.gateway.>',
      'cron.*.*',
      bodySubject('*', bodyKey('*', bodyHead)),
    ],
    sub: [`${inboxPrefix('ops')}.>`],
  },
  /** Of people: looks at the dead letters of one Integration, puts them into its inbox again, removes them. */
  replay: {
    pub: [
      `$JS.API.STREAM.INFO.dlq_${i}`,
      `$JS.API.DIRECT.GET.dlq_${i}`,
      `$JS.API.STREAM.MSG.DELETE.dlq_${i}`,
      `inbox.${i}.*.*`,
    ],
    sub: [`${inboxPrefix('replay', i)}.>`],
  },
};

/** Users of the SYS account that the operator runs with: one may push claims, the other may only measure. */
export const systemPermissions = {
  ctl: {
    pub: [
      '$SYS.REQ.CLAIMS.UPDATE',
      '$SYS.REQ.CLAIMS.DELETE',
      '$SYS.REQ.CLAIMS.LIST',
      '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP',
      '$SYS.REQ.SERVER.PING',
    ],
    sub: ['_INBOX_ctl.>'],
  },
  meter: {
    pub: ['$SYS.REQ.SERVER.PING', '$SYS.REQ.SERVER.PING.JSZ', '$SYS.REQ.ACCOUNT.PING.STATZ'],
    sub: ['_INBOX_meter.>'],
  },
} as const satisfies Record<string, Permissions>;
