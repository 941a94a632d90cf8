import type { StreamLag } from '../reconcile/ports.ts';
import type { Found } from './jetstream-figures.ts';

/* What is known of a stream, and whether a look has shown anything new of it. */
export const lagOf = (accountId: string, name: string, { state }: Found) => ({
  account: accountId,
  stream: name,
  messages: state.messages,
  bytes: state.bytes,
  firstSequence: state.first_seq,
  lastSequence: state.last_seq,
  lastTime: state.last_ts.startsWith('0001-') ? undefined : state.last_ts,
});
export const consumersOf = (lag: StreamLag | undefined): Pick<StreamLag, 'consumers' | 'consumersAt'> => ({
  consumers: lag?.consumers ?? [],
  consumersAt: lag?.consumersAt,
});
export const isSameState = (lag: StreamLag, { state }: Found): boolean =>
  lag.messages === state.messages && lag.lastSequence === state.last_seq && lag.firstSequence === state.first_seq;
export const isSameFill = (lag: StreamLag, { consumers }: Found): boolean =>
  lag.consumers.length === consumers.length &&
  consumers.every((found, index) => {
    const before = lag.consumers[index];
    return (
      before?.name === found.name &&
      before.pending === found.pending &&
      before.ackPending === found.ackPending &&
      before.delivered === found.delivered
    );
  });
