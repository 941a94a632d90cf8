/*
 * Every stream, subject, bucket and consumer name, for both halves. Integration, source and sink names are DNS labels, so they are
 * single subject tokens. Event types are encoded into one.
 */
export const inboxStream = (integration: string) => `inbox_${integration}`;
export const inboxSubject = (integration: string, partition: number, source: string) =>
  `inbox.${integration}.${partition}.${source}`;
export const inboxSubjects = (integration: string) => `inbox.${integration}.*.*`;
export const inboxPartitionFilter = (integration: string, partition: number) => `inbox.${integration}.${partition}.*`;
export const workerConsumer = (partition: number) => `worker-${partition}`;

/** Priority group of consumers that one worker reads at a time. */
export const ownerGroup = 'owner';

export const deadLetterStream = (integration: string) => `dlq_${integration}`;
export const deadLetterSubject = (integration: string, part: string) => `dlq.${integration}.${part}`;
export const deadLetterSubjects = (integration: string) => `dlq.${integration}.*`;

/** Bodies that do not fit into a message: one stream an Integration, whose parts are written once. The head is what the parts hang on. */
export const bodyStream = (integration: string) => `body_${integration}`;
export const bodySubject = (integration: string, key: string) => `body.${integration}.${key}`;
export const bodySubjects = (integration: string) => `body.${integration}.*.*`;
export const bodyHead = 'head';
export const bodyKey = (id: string, part: number | string) => `${id}.${part}`;

export const busStream = 'bus';
export const busPrefix = 'bus.';
export const busSubjects = `${busPrefix}*`;
export const busSubject = (type: string) => busPrefix + typeToken(type);
/**
 * A CloudEvents type as one subject token that people can read: dots, which most types have, become `_`, and everything but letters,
 * digits and `-` is percent-encoded. No two types have one token.
 */
const typeToken = (type: string): string =>
  type
    .replace(/[^A-Za-z0-9.-]+/g, (run) =>
      [...Buffer.from(run)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
    .replaceAll('.', '_');

export const tickStream = 'tick';
export const tickSubjects = ['cron.*.*', 'tick.*.*'];
/** Where the operator puts a schedule, and where the server puts a message whenever it is due. */
export const cronSubject = (integration: string, source: string) => `cron.${integration}.${source}`;
export const tickSubject = (integration: string, source: string) => `tick.${integration}.${source}`;

/** One bucket a tenant; keys are `<integration>.<...>`, so that permissions divide it. */
export const stateBucket = 'state';
export const gatewayBucket = 'gateway';
/** Answers of requests that came with a key, for their repeats. */
export const answerBucket = 'answer';
export const answerKey = (integration: string, digest: string) => `${integration}.${digest}`;
export const answerSubjects = (integration: string) => `$KV.${answerBucket}.${integration}.*`;
export const bucketStream = (bucket: string) => `KV_${bucket}`;
export const bucketSubject = (bucket: string, key: string) => `$KV.${bucket}.${key}`;
export const bucketSubjects = (bucket: string) => `$KV.${bucket}.>`;
export const stateSubjects = (integration: string) => `$KV.${stateBucket}.${integration}.>`;
export const messageStateKey = (integration: string, stream: string, sequence: number) =>
  `${integration}.m.${stream}.${sequence}`;
/** What a step remembers; `token` is one subject token. */
export const stepStateKey = (integration: string, step: string, token: string) => `${integration}.s.${step}.${token}`;
/** Set while its workers start nothing because configuration or credentials are wrong; the operator reads it. */
export const pausedKey = (integration: string) => `${integration}.paused`;

/** Keys of the gateway bucket: the route table by the operator, the applied revisions by the gateway. */
export const routeKey = (integration: string) => `routes.${integration}`;
export const routeSubjects = `$KV.${gatewayBucket}.routes.*`;
export const appliedKey = (integration: string) => `applied.${integration}`;
/** Written by the gateway while somebody calls: workers that sleep are wanted, those that are awake are in use. */
export const wakeKey = (integration: string) => `wake.${integration}`;
export const wakeSubjects = `$KV.${gatewayBucket}.wake.*`;
/** How often the gateway writes it while workers answer: for so long nothing may be seen of calls that come all the time. */
export const inUseEveryMs = 10_000;

/** Where the workers of an Integration that keeps order tell each other that they are there. */
export const peerSubject = (integration: string) => `peers.${integration}`;

/** Request-reply; workers are a queue group by the Integration's name. */
export const callSubject = (integration: string) => `call.${integration}`;

export const roles = ['gateway', 'intake', 'ops', 'replay', 'worker'] as const;
export type Role = (typeof roles)[number];
/** Reply prefix of a role: its user may subscribe to nothing else. */
export const inboxPrefix = (role: Role, integration?: string): string =>
  ({
    worker: `_INBOX_w_${integration}`,
    intake: `_INBOX_i_${integration}`,
    gateway: '_INBOX_gw',
    ops: '_INBOX_ops',
    replay: `_INBOX_r_${integration}`,
  })[role];

/** Tag of a user JWT that scoped templates read as `{{tag(i)}}`. */
export const integrationTag = (integration: string) => `i:${integration}`;
