import { addAbortListener } from 'node:events';

/** Settles as the promise does, or rejects with the signal's reason: what does not obey its signal holds nobody up. */
export const unlessAborted = async <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> => {
  const aborted = Promise.withResolvers<never>();
  using _ = addAbortListener(signal, () => aborted.reject(signal.reason));
  return await Promise.race([promise, aborted.promise]);
};
