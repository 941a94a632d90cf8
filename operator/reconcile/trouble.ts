import type { ReconcileResult } from '../control/controller.ts';
import { stampConditions, statusConditions, verdict } from '../plan/conditions.ts';
import { applyStatus } from './apply.ts';
import type { Context } from './context.ts';
import { ApiError, type KubeObject } from './ports.ts';

/** What the next try most likely mends by itself: another writer, a busy or absent server, the loss of the lease. */
const isPassing = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 0 || error.status >= 500 || [404, 409, 429].includes(error.status));

/** A failure that nobody foresaw is retried, and is not only in the operator's log: the object says so, as long as it lasts. */
export const sayingTrouble = async (
  context: Context,
  object: KubeObject,
  work: () => Promise<ReconcileResult | undefined>,
): Promise<ReconcileResult | undefined> => {
  try {
    return await work();
  } catch (error) {
    if (!isPassing(error)) await applyStatus(context.cluster, object, troubled(context, object, error)).catch(() => {});
    throw error;
  }
};

const troubled = ({ now }: Context, object: KubeObject, error: unknown): Record<string, unknown> => {
  const previous = statusConditions(object['status']);
  const generation = object.metadata.generation ?? 0;
  const message = `the operator failed and tries again: ${error instanceof Error ? error.message : String(error)}`;
  const [ready] = stampConditions([verdict('Ready', 'Unknown', 'Error', message)], {
    previous,
    generation,
    now: now(),
  });
  return {
    ...(object['status'] as Record<string, unknown> | undefined),
    conditions: [ready, ...previous.filter(({ type }) => type !== 'Ready')],
  };
};
