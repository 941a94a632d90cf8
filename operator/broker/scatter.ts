import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { BrokerError } from '../reconcile/ports.ts';
import { reasonOf } from './failures.ts';

/*
 * A request that every server answers. One answer proves nothing about the others, so callers say how many they expect and look at each.
 */
interface Question {
  readonly subject: string;
  readonly payload?: string;
  readonly inboxPrefix: string;
  /** How many answers to wait for. */
  readonly expected: number;
}

/** For the first answer. */
const firstMs = 3_000;
/** For another one, once somebody has answered: servers that are up take milliseconds. */
const quietMs = 750;

/** What came within the time; fewer than expected when servers are down. Throws only when the connection fails or forbids it. */
export const askServers = async (connection: NatsConnection, question: Question): Promise<string[]> =>
  (await askServersForBytes(connection, question)).map(String);

/** As above, for answers that are large and not needed as texts. */
export const askServersForBytes = (
  connection: NatsConnection,
  { subject, payload = '', inboxPrefix, expected }: Question,
): Promise<Buffer[]> =>
  new Promise((resolve, reject) => {
    const answers: Buffer[] = [];
    const inbox = createInbox(inboxPrefix);
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return fail(error);
        // "No responders": nobody listens there, so nobody will answer.
        if (message.headers?.code === 503) return end();
        const { buffer, byteOffset, byteLength } = message.data;
        answers.push(Buffer.from(buffer, byteOffset, byteLength));
        if (answers.length >= expected) return end();
        clearTimeout(timer);
        timer = setTimeout(() => end(), quietMs);
      },
    });
    let timer = setTimeout(() => end(), firstMs);
    const stop = () => {
      clearTimeout(timer);
      subscription.unsubscribe();
    };
    const end = () => {
      stop();
      resolve(answers);
    };
    const fail = (error: unknown) => {
      stop();
      reject(new BrokerError('Unreachable', `${subject} was not answered: ${reasonOf(error)}`, { cause: error }));
    };
    // Also ends by our own unsubscribe, and then there is nobody left to tell.
    subscription.closed.then(() => fail(new Error('the connection was lost')), fail);
    try {
      connection.publish(subject, payload, { reply: inbox });
    } catch (error) {
      fail(error);
    }
  });
