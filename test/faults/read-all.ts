import type { JetStreamManager } from '@nats-io/jetstream';

export interface Read {
  readonly sequence: number;
  readonly subject: string;
  readonly id: string;
  readonly body: string;
}

/** Everything that a stream holds, in its order. */
export const readAll = async (manager: JetStreamManager, stream: string): Promise<Read[]> => {
  const { state } = await manager.streams.info(stream);
  const found: Read[] = [];
  if (state.messages === 0) return found;
  const ordered = await manager.jetstream().consumers.get(stream);
  const messages = await ordered.consume();
  for await (const message of messages) {
    found.push({
      sequence: message.seq,
      subject: message.subject,
      id: message.headers?.get('ce-id') ?? '',
      body: message.string(),
    });
    if (message.seq >= state.last_seq) break;
  }
  await messages.close();
  return found;
};
