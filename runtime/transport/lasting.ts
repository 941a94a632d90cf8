import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';

/*
 * The client gives up a subscription that the server refused, and knows nothing of it after the next reconnect either. Rights come back with
 * newer credentials; so this one is made anew until it is closed.
 */
export interface Lasting {
  /** What is on the way still comes. */
  drain(): Promise<void>;
  close(): void;
}
const againMs = 5_000;

export const subscribeLasting = (
  connection: NatsConnection,
  subject: string,
  { queue, take }: { readonly queue?: string; readonly take: (message: Msg) => void },
): Lasting => {
  let subscription: Subscription | undefined;
  let timer: NodeJS.Timeout | undefined;

  const open = () => {
    if (connection.isClosed()) return;
    subscription = connection.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => (error ? refused() : take(message)),
    });
  };
  const refused = () => {
    subscription?.unsubscribe();
    subscription = undefined;
    clearTimeout(timer);
    timer = setTimeout(open, againMs);
  };
  open();
  return {
    async drain() {
      clearTimeout(timer);
      await subscription?.drain();
    },
    close() {
      clearTimeout(timer);
      subscription?.unsubscribe();
    },
  };
};
