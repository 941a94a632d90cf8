import { parentPort, workerData } from 'node:worker_threads';

/** What comes back of one input. */
export type Result = { readonly value: string } | { readonly error: string };

/** Answers batches of inputs, and counts each input before it begins: whoever ends this thread knows which one it was. */
export const serveSandbox = <D>(open: (data: D) => (input: string) => string): void => {
  const { data, progress } = workerData as { data: D; progress: Int32Array };
  const run = open(data);
  parentPort?.on('message', (inputs: readonly string[]) => {
    const results = inputs.map((input): Result => {
      Atomics.add(progress, 0, 1);
      try {
        return { value: run(input) };
      } catch (error) {
        return { error: error instanceof Error ? error.message.slice(0, 500) : 'it failed' };
      }
    });
    parentPort?.postMessage(results, []);
  });
};
