import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type OrderEvent, transformed } from './events.ts';

/*
 * Yardstick: the client library used as well as its documentation says. Callbacks, the window as prefetch, no traces, and `publish` of
 * its JetStream API.
 */
const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} must be set; run it by "npm run bench -- hop"`);
  return value;
};
const [count, window] = [Number(setting('N')), Number(setting('W'))];
const target = `out.${setting('DST')}`;

const connection = await connect({ servers: `127.0.0.1:${setting('PORT')}`, noAsyncTraces: true });
const stream = jetstream(connection, { timeout: 60_000 });
const consumer = await stream.consumers.get('SRC', setting('CONS'));
const { promise: finished, resolve: finish, reject: fail } = Promise.withResolvers<void>();
let done = 0;
const messages = await consumer.consume({
  max_messages: window,
  threshold_messages: window / 2,
  callback: (message) => {
    const body = JSON.stringify(transformed(message.json<OrderEvent>()));
    stream.publish(target, body, { msgID: `SRC:${message.seq}` }).then(() => {
      message.ack();
      done += 1;
      if (done === count) finish();
    }, fail);
  },
});
await finished;
messages.stop();
await connection.drain();
