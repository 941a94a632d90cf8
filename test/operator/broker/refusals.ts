/*
 * What roles must not do, one line each. A refusal proves nothing when the same call fails for everybody, so each line says what the server
 * answers to somebody who may.
 */
export type Answer =
  /** JetStream API: JSON without an error. */
  | 'api'
  /** A PubAck. */
  | 'stored'
  /** A stored message with its sequence. */
  | 'message'
  /** A delivery of a consumer. */
  | 'delivery'
  /** The empty confirmation of an ack. */
  | 'confirmation'
  /** Somebody who subscribed gets it. */
  | 'heard';

export interface Refusal {
  /** `{ack}`: of a delivery of a foreign consumer. `{hash}`: of the account, in ack subjects of the second form. */
  readonly subject: string;
  /** `"last:<stream>"` stands for the sequence of the stream's last message. */
  readonly payload?: string;
  readonly answer: Answer;
}

const line =
  (answer: Answer, payload?: string) =>
  (subject: string): Refusal => ({ subject, answer, ...(payload === undefined ? {} : { payload }) });
const api = line('api');
const stored = line('stored', 'x');
const heard = line('heard', 'x');
const json = (subject: string, body: object, answer: Answer = 'api'): Refusal => ({
  subject,
  payload: JSON.stringify(body),
  answer,
});

const pull = JSON.stringify({ batch: 1, expires: 2_000_000_000 });
const spare = { name: 'spare', subjects: ['spare.>'], max_bytes: 1024 };
const spy = (stream: string, name: string) =>
  json(`$JS.API.CONSUMER.CREATE.${stream}.${name}`, {
    stream_name: stream,
    config: { name, deliver_policy: 'all', ack_policy: 'none', inactive_threshold: 5_000_000_000 },
  });
const durable = (stream: string, name: string) =>
  json(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${name}`, {
    stream_name: stream,
    config: { durable_name: name, deliver_policy: 'all', ack_policy: 'explicit' },
  });
const lastOf = (stream: string, subject: string) =>
  json(`$JS.API.DIRECT.GET.${stream}`, { last_by_subj: subject }, 'message');

/** Streams as a whole: who may list, read, change or empty them. */
const streamCalls: readonly Refusal[] = [
  api('$JS.API.INFO'),
  api('$JS.API.STREAM.NAMES'),
  api('$JS.API.STREAM.LIST'),
  api('$JS.API.STREAM.INFO.inbox_mine'),
  api('$JS.API.STREAM.INFO.dlq_mine'),
  api('$JS.API.STREAM.INFO.KV_state'),
  json('$JS.API.STREAM.CREATE.spare', spare),
  json('$JS.API.STREAM.UPDATE.spare', spare),
  api('$JS.API.STREAM.PURGE.inbox_mine'),
  api('$JS.API.STREAM.PURGE.dlq_other'),
  api('$JS.API.STREAM.PURGE.KV_state'),
  api('$JS.API.STREAM.DELETE.inbox_mine'),
  api('$JS.API.STREAM.DELETE.KV_state'),
  json('$JS.API.STREAM.MSG.GET.inbox_mine', { last_by_subj: 'inbox.mine.0.shop' }),
  json('$JS.API.STREAM.MSG.GET.inbox_other', { last_by_subj: 'inbox.other.0.shop' }),
  json('$JS.API.STREAM.MSG.GET.KV_state', { last_by_subj: '$KV.state.other.k' }),
  json('$JS.API.STREAM.MSG.DELETE.bus', { seq: 'last:bus' }),
  api('$JS.API.STREAM.INFO.bus'),
  api('$JS.API.STREAM.INFO.tick'),
  api('$JS.API.STREAM.PURGE.bus'),
  api('$JS.API.STREAM.PURGE.tick'),
];
const consumerCalls: readonly Refusal[] = [
  api('$JS.API.CONSUMER.LIST.inbox_mine'),
  api('$JS.API.CONSUMER.LIST.bus'),
  api('$JS.API.CONSUMER.NAMES.inbox_other'),
  spy('bus', 'spy'),
  spy('dlq_other', 'spy'),
  spy('KV_state', 'spy'),
  durable('dlq_mine', 'spy'),
  json('$JS.API.CONSUMER.PAUSE.inbox_mine.worker-0', {}),
  api('$JS.API.CONSUMER.DELETE.inbox_mine.worker-0'),
  api('$JS.API.CONSUMER.DELETE.bus.other'),
  api('$JS.API.CONSUMER.DELETE.tick.other'),
  // Its own filters are the operator's to change: with them it would hear types that nobody gave it.
  durable('bus', 'mine'),
  spy('tick', 'spy'),
];
const cross: readonly Refusal[] = [
  heard('$SYS.REQ.USER.INFO.x'),
  heard('foo'),
  heard('_INBOX_ops.x'),
  heard('_INBOX.x'),
  heard('_INBOX_w_other.x'),
  heard('peers.other'),
  stored('cron.mine.nightly'),
  stored('cron.other.nightly'),
  stored('tick.mine.nightly'),
  stored('tick.other.nightly'),
];

const foreignReads: readonly Refusal[] = [
  lastOf('dlq_mine', 'dlq.mine.*'),
  lastOf('dlq_other', 'dlq.other.*'),
  lastOf('tick', 'tick.other.t'),
  lastOf('KV_state', '$KV.state.other.k'),
  lastOf('KV_state', '$KV.state.mine.k'),
  json('$JS.API.DIRECT.GET.KV_state', { seq: 'last:KV_state' }, 'message'),
  line('message')('$JS.API.DIRECT.GET.KV_state.$KV.state.other.k'),
  line('message')('$JS.API.DIRECT.GET.KV_state.$KV.state.*.k'),
];
/** Large bodies: of others; of its own one by one, by their subject, and nothing else. */
const foreignBodies: readonly Refusal[] = [
  stored('body.other.b.0'),
  stored('body.other.b.head'),
  api('$JS.API.STREAM.INFO.body_mine'),
  api('$JS.API.STREAM.PURGE.body_mine'),
  api('$JS.API.STREAM.PURGE.body_other'),
  lastOf('body_mine', 'body.mine.b.0'),
  lastOf('body_other', 'body.other.b.0'),
  line('message')('$JS.API.DIRECT.GET.body_other.body.other.b.0'),
  spy('body_mine', 'spy'),
];
const ownBodies: readonly Refusal[] = [
  stored('body.mine.b.0'),
  line('message')('$JS.API.DIRECT.GET.body_mine.body.mine.b.0'),
];

const gatewayBucketCalls: readonly Refusal[] = [
  lastOf('KV_gateway', '$KV.gateway.routes.mine'),
  stored('$KV.gateway.routes.mine'),
  stored('$KV.gateway.applied.mine'),
  stored('$KV.gateway.wake.mine'),
  stored('$KV.answer.mine.k'),
  lastOf('KV_answer', '$KV.answer.mine.k'),
];

export const workerRefusals: readonly Refusal[] = [
  ...foreignBodies,
  ...streamCalls,
  ...consumerCalls,
  ...cross,
  ...foreignReads,
  ...gatewayBucketCalls,
  heard('call.other'),
  heard('_INBOX_gw.x'),
  stored('inbox.other.0.shop'),
  stored('dlq.other.erp'),
  stored('$KV.state.other.k'),
  api('$JS.API.CONSUMER.INFO.inbox_other.worker-0'),
  api('$JS.API.CONSUMER.INFO.bus.other'),
  api('$JS.API.CONSUMER.INFO.tick.other'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.inbox_other.worker-0'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.bus.other'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.tick.other'),
  // An ack may ask for the next message: the subject of a foreign consumer reads a foreign inbox, whatever follows in it.
  line('delivery', '+NXT')('$JS.ACK.inbox_other.worker-0.1.1.1.1.1'),
  line('delivery', '+NXT')('$JS.ACK.inbox_other.worker-0.inbox_mine.worker-0.1.1.1'),
  line('delivery', '+NXT')('$JS.ACK._.{hash}.inbox_other.worker-0.1.1.1.1.1'),
  line('delivery', '+NXT')('$JS.ACK._.{hash}.inbox_other.worker-0.1.1.1.1.1.inbox_mine'),
  line('delivery', '+NXT')('$JS.ACK.bus.other.1.1.1.1.1'),
  line('delivery', '+NXT')('$JS.ACK.tick.other.1.1.1.1.1'),
  line('delivery', '+NXT')('$JS.ACK.bus.other.bus.mine.1.1.1'),
  line('confirmation', '+ACK')('{ack}'),
  line('confirmation', '+TERM')('{ack}'),
];

export const intakeRefusals: readonly Refusal[] = [
  ...foreignBodies,
  line('message')('$JS.API.DIRECT.GET.body_mine.body.mine.b.0'),
  ...streamCalls,
  ...consumerCalls,
  ...cross,
  ...foreignReads,
  ...gatewayBucketCalls,
  heard('call.mine'),
  heard('peers.mine'),
  stored('inbox.other.0.shop'),
  stored('dlq.mine.erp'),
  stored('bus.created'),
  stored('$KV.state.other.k'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.inbox_mine.worker-0'),
  line('delivery', '+NXT')('$JS.ACK.inbox_other.worker-0.1.1.1.1.1'),
  line('confirmation', '+ACK')('{ack}'),
];

export const gatewayRefusals: readonly Refusal[] = [
  ...foreignBodies.filter(({ answer }) => answer !== 'stored'),
  line('message')('$JS.API.DIRECT.GET.body_mine.body.mine.b.0'),
  ...streamCalls,
  ...consumerCalls,
  ...cross,
  ...foreignReads,
  heard('peers.mine'),
  stored('$KV.gateway.routes.mine'),
  stored('dlq.mine.erp'),
  stored('bus.created'),
  stored('$KV.state.mine.k'),
  api('$JS.API.STREAM.PURGE.KV_gateway'),
  json('$JS.API.STREAM.MSG.DELETE.KV_gateway', { seq: 'last:KV_gateway' }),
  // The older form, where the consumer's name and filter are in the body only.
  json('$JS.API.CONSUMER.CREATE.dlq_mine', {
    stream_name: 'dlq_mine',
    config: { deliver_policy: 'all', ack_policy: 'none', inactive_threshold: 5_000_000_000 },
  }),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.inbox_mine.worker-0'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.bus.mine'),
  line('delivery', '+NXT')('$JS.ACK.inbox_mine.worker-0.1.1.1.1.1'),
  line('confirmation', '+ACK')('{ack}'),
];

/** The operator's own user inside an account reads much, and still takes no message from a queue and writes none into a flow. */
export const opsRefusals: readonly Refusal[] = [
  stored('body.mine.b.0'),
  stored('inbox.mine.0.shop'),
  stored('dlq.mine.erp'),
  stored('bus.created'),
  stored('tick.mine.nightly'),
  stored('$KV.state.mine.k'),
  heard('call.mine'),
  heard('peers.mine'),
  heard('foo'),
  heard('_INBOX_gw.x'),
  json('$JS.API.STREAM.MSG.GET.inbox_mine', { last_by_subj: 'inbox.mine.0.shop' }),
  json('$JS.API.STREAM.MSG.DELETE.bus', { seq: 'last:bus' }),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.inbox_mine.worker-0'),
  line('delivery', '+NXT')('$JS.ACK.inbox_mine.worker-0.1.1.1.1.1'),
  line('confirmation', '+ACK')('{ack}'),
];

/** Of people: nothing but the dead letters and the inbox of one Integration, and there nothing but what a replay needs. */
export const replayRefusals: readonly Refusal[] = [
  ...foreignBodies,
  ...ownBodies,
  ...streamCalls.filter(({ subject }) => subject !== '$JS.API.STREAM.INFO.dlq_mine'),
  api('$JS.API.STREAM.INFO.dlq_other'),
  api('$JS.API.STREAM.PURGE.dlq_mine'),
  api('$JS.API.STREAM.DELETE.dlq_mine'),
  json('$JS.API.STREAM.MSG.GET.dlq_other', { last_by_subj: 'dlq.other.erp' }),
  json('$JS.API.STREAM.MSG.DELETE.dlq_other', { seq: 'last:dlq_other' }),
  json('$JS.API.STREAM.MSG.DELETE.inbox_mine', { seq: 'last:inbox_mine' }),
  ...consumerCalls,
  ...cross,
  ...foreignReads.filter(({ subject }) => subject !== '$JS.API.DIRECT.GET.dlq_mine'),
  ...gatewayBucketCalls,
  heard('call.mine'),
  heard('peers.mine'),
  stored('inbox.other.0.shop'),
  stored('dlq.mine.erp'),
  stored('dlq.other.erp'),
  stored('bus.created'),
  stored('$KV.state.mine.k'),
  line('delivery', pull)('$JS.API.CONSUMER.MSG.NEXT.inbox_mine.worker-0'),
  line('delivery', '+NXT')('$JS.ACK.inbox_mine.worker-0.1.1.1.1.1'),
  line('confirmation', '+ACK')('{ack}'),
];

/** A foreign reply prefix would show what others were answered; a raw subscription shows messages as they are published. */
const shared = ['>', '_INBOX.>', 'inbox.>', 'dlq.>', 'bus.>', 'tick.>', 'cron.>', 'call.*', '$KV.>', '$JS.>', '$SYS.>'];
const all = [...shared, 'peers.*', 'peers.other'];
export const subscriptionRefusals = {
  worker: [...all, '_INBOX_w_other.>', '_INBOX_gw.>', '_INBOX_ops.>', 'inbox.mine.>', 'call.other', '$JS.ACK.>'],
  intake: [...all, '_INBOX_w_mine.>', '_INBOX_i_other.>', '_INBOX_ops.>', 'inbox.mine.>', 'call.mine'],
  gateway: [...all, '_INBOX_w_mine.>', '_INBOX_ops.>', '$JS.EVENT.ADVISORY.>'],
  ops: [...all, '_INBOX_w_mine.>', '_INBOX_gw.>', '$JS.EVENT.ADVISORY.>'],
  replay: [...all, '_INBOX_w_mine.>', '_INBOX_r_other.>', '_INBOX_gw.>', 'inbox.mine.>', 'dlq.mine.>', 'call.mine'],
} as const;
