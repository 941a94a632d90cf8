import { JetStreamApiError } from '@nats-io/jetstream';
import { BrokerError } from '../reconcile/ports.ts';

/** JetStream's error codes that mean something else to us than "wrong request" (server/errors.json of nats-server). */
const codes: Readonly<Record<number, [code: string, advice: string]>> = {
  10002: ['Insufficient', 'the tenant has used up its storage'],
  10005: ['Insufficient', 'no NATS server has room for it: fewer replicas, less storage, or more servers'],
  10023: ['Insufficient', 'the NATS servers are out of resources'],
  10026: ['Insufficient', 'the stream has all the consumers that it may have'],
  10027: ['Insufficient', 'the tenant has all the streams that its limit allows: raise spec.messaging.streams'],
  10028: ['Insufficient', 'the tenant has no memory storage left: raise spec.messaging.memory'],
  10047: ['Insufficient', 'the storage is not there: raise spec.messaging.storage of the Tenant or give NATS more'],
  10039: [
    'NotJetStream',
    'the account has no JetStream on the servers: is their storage smaller than the tenant may use?',
  ],
  10076: ['NotJetStream', 'the NATS server runs without JetStream'],
  10004: ['Unreachable', 'not all NATS servers answered'],
  10007: ['Unreachable', 'JetStream moves it to another server'],
  10008: ['Unreachable', 'JetStream is not available now'],
  10009: ['Unreachable', 'JetStream is electing a leader or a server is down'],
  10189: ['Invalid', 'the NATS server takes the cron fields for wrong'],
  10223: [
    'Invalid',
    'the NATS server does not know the time zone; its image may lack time zones: run one with tzdata, such as nats:2.15.2-alpine',
  ],
  10118: ['Unreachable', 'its servers are down'],
  10119: ['Unreachable', 'its servers are down'],
  10074: ['Insufficient', 'replicas need a NATS cluster of at least as many servers'],
};

const unreachable = /timeout|closed|disconnected|draining|connection|ECONN|EPIPE|socket/i;

/** The message of anything that was thrown, for texts that people read. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whatever a use of a tenant's account failed with, as BrokerError with a stable code. `what` names the thing and what was tried. */
export const translated = (error: unknown, what: string): BrokerError => {
  if (error instanceof BrokerError) return error;
  const api = error instanceof Error && error.cause instanceof JetStreamApiError ? error.cause : error;
  if (api instanceof JetStreamApiError) {
    const [code, advice] = codes[api.code] ?? ['Invalid', ''];
    const reason = `${api.message} (NATS error ${api.code})`;
    return new BrokerError(code, `${what}: ${advice ? `${advice}; ` : ''}${reason}`, { cause: error });
  }
  const reason = reasonOf(error);
  // The client's words for "nobody answered on that subject", which a missing stream causes far more often.
  if (/jetstream is not enabled|no responders/i.test(reason))
    return new BrokerError(
      'NotJetStream',
      `${what}: no stream takes it. Either the stream is not there (yet), or the account has no JetStream on the servers`,
      { cause: error },
    );
  if (/permissions violation/i.test(reason))
    return new BrokerError('Denied', `${what}: the operator's own user may not do this: ${reason}`, { cause: error });
  if (unreachable.test(reason))
    return new BrokerError('Unreachable', `${what}: NATS did not answer: ${reason}`, { cause: error });
  return new BrokerError('Invalid', `${what}: ${reason}`, { cause: error });
};
