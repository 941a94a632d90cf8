import type { Log } from '../connector.ts';
import type { Message } from '../message.ts';
import { bodyHeader } from '../nats/body-reference.ts';
import { inboxStream } from '../nats/names.ts';
import type { Delivery, Transport } from '../transport/transport.ts';
import type { RunningAttempt } from './attempts.ts';
import { isReplay } from './course.ts';
import type { Arrival, Way } from './journey.ts';
import type { LargeBodies } from './large-bodies.ts';
import type { Parts } from './parts.ts';

/** Bodies that lie beside the inbox, for a worker that may never see one: what it takes to read them is loaded with the first. */
export interface Bodies {
  /** Its body lies elsewhere; the rest is for such only. */
  isLarge(delivery: Delivery): boolean;
  /** One attempt. Steps and sinks load the body when they must; what was loaded counts until the attempt has ended. */
  travel(delivery: Delivery, message: Message, parts: Parts, attempt: RunningAttempt, way: Way): Promise<Arrival>;
  /** A dead letter is about to refer to it, for as long as there are dead letters. */
  keep(delivery: Delivery): Promise<void>;
  /** The message is done, confirmed by the broker, and left no dead letter. Never rejects: what stays is found by the operator. */
  done(delivery: Delivery): Promise<void>;
}

export const createBodies = (
  transport: Pick<Transport, 'bodies'>,
  { integration, log }: { readonly integration: string; readonly log: Log },
): Bodies => {
  const own = inboxStream(integration);
  let loading: Promise<LargeBodies> | undefined;
  const large = (): Promise<LargeBodies> => {
    loading ??= import('./large-bodies.ts').then(({ createLargeBodies }) =>
      createLargeBodies(transport.bodies(integration), log),
    );
    return loading;
  };
  // From elsewhere nobody is believed; see course.ts.
  const isLarge = ({ body, headers, stream }: Delivery): boolean =>
    body.length === 0 && headers[bodyHeader] !== undefined && stream === own;
  return {
    isLarge,
    travel: async ({ headers }, ...rest) => (await large()).travel(headers, ...rest),
    keep: async ({ headers }) => (await large()).keep(headers),
    async done(delivery) {
      // Of a replay other dead letters may be left, for other sinks.
      if (!isReplay(delivery, integration)) await (await large()).remove(delivery.headers);
    },
  };
};
