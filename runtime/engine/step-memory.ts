import { hash } from 'node:crypto';
import type { StepMemory } from '../connector.ts';
import { postpone, retry } from '../errors.ts';
import { stepStateKey } from '../nats/names.ts';
import { type Transport, TransportError } from '../transport/transport.ts';

/**
 * What the steps of an Integration remember, each apart from the others. Keys are hashed: they may hold what is nobody's business, and
 * have to be one token. The transport may still be on its way when the steps open.
 */
export const createStepMemory =
  (connecting: Promise<Pick<Transport, 'state'>>, integration: string) =>
  (step: string): StepMemory => {
    const nameOf = (key: string) => stepStateKey(integration, step, hash('sha256', key, 'base64url').slice(0, 27));
    return {
      async read(key) {
        const { state } = await connecting;
        const found = await state.read(nameOf(key)).catch(instructed);
        return found && { value: JSON.parse(Buffer.from(found.value).toString()), revision: found.revision };
      },
      async write(key, value, { revision, forMs }) {
        const { state } = await connecting;
        return await state
          .write(nameOf(key), Buffer.from(JSON.stringify(value)), revision, forMs)
          .catch((error: unknown) => (isConflict(error) ? undefined : instructed(error)));
      },
    };
  };

const isConflict = (error: unknown): boolean => error instanceof TransportError && error.code === 'Conflict';

/** That nothing can be remembered is no message's fault. Where it will not pass by itself, the worker pauses and says so. */
const instructed = (cause: unknown): never => {
  if (!(cause instanceof TransportError)) throw cause;
  if (cause.code === 'Unavailable' || cause.code === 'Unanswered')
    throw postpone('StateUnavailable', cause.message, { cause });
  const code = cause.code === 'StreamFull' ? 'StateFull' : 'StateRefused';
  throw retry(code, cause.message, { cause, failure: 'fatal' });
};
