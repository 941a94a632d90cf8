import { compileKey } from '../expr/key.ts';
import type { Flow } from '../flow.ts';
import { decodeMessage, keyHeader, percentDecoded } from '../nats/envelope.ts';
import { inboxStream } from '../nats/names.ts';
import type { Job } from './job.ts';

/**
 * The lane of a message: the key that intake wrote on it. Messages that came before the Integration kept order, or that nobody wrote a
 * key on, are asked for it here, like those of shared streams, on which somebody else wrote another key; those that have none share a lane.
 */
export const laneOf = ({ tenant, integration, delivery: { key } }: Flow): ((job: Job) => string) => {
  const keyOf = compileKey(key ?? "''", { tenant, integration });
  const computed = ({ delivery: { headers, body } }: Job): string => {
    try {
      return keyOf(decodeMessage(headers, body));
    } catch {
      return '';
    }
  };
  const own = inboxStream(integration);
  const lanes = new WeakMap<Job, string>();
  return (job) => {
    const known = lanes.get(job);
    if (known !== undefined) return known;
    const written = job.delivery.stream === own ? job.delivery.headers[keyHeader] : undefined;
    const lane = `${job.partition?.name ?? ''} ${written === undefined ? computed(job) : percentDecoded(written)}`;
    lanes.set(job, lane);
    return lane;
  };
};
