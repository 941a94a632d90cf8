import { InstructionError } from '../errors.ts';
import { TransportError } from '../transport/transport.ts';

const mostAckTries = 12;

/** A server that is there does not answer the ack of what it has not delivered, as far as it remembers: it will deliver that again. */
export const mayPass = (error: unknown): boolean =>
  error instanceof TransportError
    ? error.code !== 'Denied' && error.code !== 'Unanswered'
    : error instanceof InstructionError && error.instruction === 'postpone';

export const isUnanswered = (error: unknown): boolean => error instanceof TransportError && error.code === 'Unanswered';

/** What could not arrive is sent again: without the ack the sinks would be called once more. */
export const persistently = async (act: () => Promise<void>): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === mostAckTries || !mayPass(error)) throw error;
    }
  }
};
