import type { Log } from '../connector.ts';
import type { Message } from '../message.ts';
import { bodyHeader } from '../nats/body-reference.ts';
import { inboxStream } from '../nats/names.ts';
import type { Delivery, Transport } from '../transport/transport.ts';
import { isReplay } from './course.ts';
import type { LargeBodies } from './large-bodies.ts';
import type { Parts } from './parts.ts';

/** Bodies that lie beside the inbox, for a worker that may never see one: what it takes to read them is loaded with the first. */
export interface Bodies {
  /** Its body lies elsewhere; the rest is for such only. */
  isLarge(delivery: Delivery): boolean;
  /** Runs with the body in its place and parts that load it when they must. What was loaded counts until `run` has ended. */
  open<T>(
    delivery: Delivery,
    message: Message,
    parts: Parts,
    run: (message: Message, parts: Parts) => Promise<T>,
  ): Promise<T>;
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
    open: async (delivery, message, parts, run) => (await large()).open(delivery.headers, message, parts, run),
    keep: async ({ headers }) => (await large()).keep(headers),
    async done(delivery) {
      // Of a replay other dead letters may be left, for other sinks.
      if (!isReplay(delivery, integration)) await (await large()).remove(delivery.headers);
    },
  };
};
