import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AccountStreams, accountStreams } from '../../operator/broker/account-streams.ts';
import { planBuckets } from '../../operator/plan/buckets.ts';
import type { Log } from '../../runtime/connector.ts';
import { letterOf } from '../../runtime/dead-letters/letter.ts';
import {
  answerBucket,
  bucketStream,
  busStream,
  deadLetterStream,
  deadLetterSubjects,
  stateBucket,
  tickStream,
} from '../../runtime/nats/names.ts';
import { headersOf } from '../../runtime/transport/header-block.ts';
import { connectTransport, type JetStreamTransport } from '../../runtime/transport/jetstream.ts';
import { NoAccess } from '../outcome.ts';
import { counted } from '../output.ts';
import type { LocalBroker } from './broker.ts';

/*
 * A real NATS server instead of the broker in memory: what is accepted survives the end of the command. The streams are those that the
 * operator plans; whoever logs in must be allowed to make them.
 */
export interface NatsAccess {
  readonly url: string;
  readonly creds: string | undefined;
  readonly ca: string | undefined;
}
/** Owner of what is made here, where an operator writes the uid of an object. */
const owner = 'kanava-run';
const shared = new Set([busStream, tickStream]);
const connectMs = 10_000;

export const natsBroker = async (access: NatsAccess, log: Log): Promise<LocalBroker> => {
  const folder = folderOf(access);
  const closing = () => rmSync(folder, { recursive: true, force: true });
  let transport: JetStreamTransport;
  try {
    transport = await connected(access, folder, log);
  } catch (error) {
    closing();
    throw error;
  }
  const account = await accountStreams(transport.connection);
  const buckets = planBuckets({ uid: owner, replicas: 1 }).filter(({ name }) =>
    [stateBucket, answerBucket].map(bucketStream).includes(name),
  );
  for (const bucket of buckets) await account.ensure(bucket, owner, true);
  const used = new Set(buckets.map(({ name }) => name));
  const followed = new Set<string>();
  return {
    // Healthy means that all pulls run; a source that listens need not wait for a worker that begins.
    transport: { ...transport, healthy: () => !transport.connection.isClosed() },
    answers: transport.bucket(answerBucket),
    async prepare({ name, streams }, told) {
      for (const spec of streams) {
        await account.ensure(spec, owner, shared.has(spec.name));
        used.add(spec.name);
      }
      if (followed.has(name)) return;
      followed.add(name);
      // As they are written: those of before are for `kanava dlq`.
      transport.connection.subscribe(deadLetterSubjects(name), {
        callback: (error, message) => {
          const time = new Date().toISOString();
          if (!error) told(letterOf({ sequence: 0, time, headers: headersOf(message), body: message.data }));
        },
      });
    },
    timers: () => 0,
    untold: () => 0,
    async close() {
      try {
        return await leftBy(account, used, followed);
      } finally {
        await transport.close();
        closing();
      }
    },
  };
};

const leftBy = async (
  account: AccountStreams,
  streams: ReadonlySet<string>,
  integrations: ReadonlySet<string>,
): Promise<string[]> => {
  const lines: string[] = [];
  for (const name of streams) {
    const messages = await account.stored(name);
    if (messages !== undefined) lines.push(`stream ${name}: ${counted(messages, 'message')}`);
  }
  for (const name of integrations)
    if (await account.stored(deadLetterStream(name))) lines.push(`\`kanava dlq list ${name}\` shows its dead letters`);
  return lines;
};

/** As it is mounted into pods, which is what the transport reads. */
const folderOf = ({ url, creds, ca }: NatsAccess): string => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-nats-'));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  write('url', url);
  if (creds !== undefined) write('creds', creds);
  if (ca !== undefined) write('ca.crt', ca);
  return folder;
};

/** Pods wait for their server; somebody at a terminal wants to know. */
const connected = async ({ url }: NatsAccess, folder: string, log: Log): Promise<JetStreamTransport> => {
  const connecting = connectTransport({ folder, role: 'ops', name: 'kanava run', log });
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), connectMs);
  const transport = await Promise.race([connecting, late.promise]);
  clearTimeout(timer);
  if (transport) return transport;
  // Nobody waits for it any more.
  void connecting.then((each) => each.close()).catch(() => undefined);
  throw new NoAccess(`NATS at ${url} does not let us in within ${connectMs / 1000} s: check --nats, --creds and --ca`);
};
