import type { EffectiveIntegration } from '../api/effective.ts';
import type { Context } from './context.ts';
import { type AccountKeys, BrokerError, type KubeObject } from './ports.ts';
import { keyOf } from './wake.ts';

/** What dead writers and workers left, and dead letters that are gone: seldom, since it only takes room, and nothing waits for it. */
export const sweepBodies = async (
  { broker, bodySweeps, log, now }: Context,
  object: KubeObject,
  { inbox, deadLetter }: Pick<EffectiveIntegration, 'inbox' | 'deadLetter'>,
  keys: AccountKeys,
): Promise<void> => {
  const { name, namespace } = object.metadata;
  const retired = inbox.largeBodies === undefined;
  const sweep = async (): Promise<void> => {
    try {
      const options = { retentionMs: deadLetter.retentionMs, retired, now: now() };
      const removed = await broker.tenant(keys).sweepBodies(name, options);
      if (removed.length > 0)
        log.info({ namespace, integration: name, bodies: removed.length }, 'removed large bodies');
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      log.warn({ namespace, integration: name, reason: error.message }, 'large bodies were not looked through');
    }
  };
  await bodySweeps.take(keyOf(object), [keys.account, retired], sweep, () => true);
};
