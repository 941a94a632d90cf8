import { parentPort, workerData } from 'node:worker_threads';
import { InstructionError } from '../../errors.ts';

/* The other end of a sandbox, the same for every program: batches of inputs come, their results go. */

/** What comes back of one input. */
export type Result = { readonly value: string } | { readonly error: string; readonly code?: string };
export type Run = (input: string) => string;

/** Nothing more may run in this thread: it ends, and the input that it had is rejected, with `code` where it is known what it did. */
export class BrokenThread extends Error {
  readonly code: string;
  constructor(message: string, { cause, code = 'SandboxFailed' }: { readonly cause: unknown; readonly code?: string }) {
    super(message, { cause });
    this.code = code;
  }
}

const mostCharacters = 4 * 1024 * 1024;

/** Counts each input before it begins: whoever ends this thread knows which one it was. What cannot be opened fails with every input. */
export const serve = async <D>(open: (data: D) => Run | Promise<Run>): Promise<void> => {
  const { data, progress } = workerData as { data: D; progress: Int32Array };
  const run = await opened(open, data);
  parentPort?.on('message', (inputs: readonly string[]) => {
    const results = inputs.map((input): Result => {
      Atomics.add(progress, 0, 1);
      try {
        const value = run(input);
        if (value.length <= mostCharacters) return { value };
        return { error: `it makes more than ${mostCharacters} characters` };
      } catch (error) {
        return failed(error);
      }
    });
    parentPort?.postMessage(results, []);
  });
};

const opened = async <D>(open: (data: D) => Run | Promise<Run>, data: D): Promise<Run> => {
  try {
    return await open(data);
  } catch (error) {
    return () => {
      throw error;
    };
  }
};

const failed = (error: unknown): Result => {
  if (error instanceof BrokenThread) throw error;
  const text = error instanceof Error ? error.message.slice(0, 500) : 'it failed';
  return error instanceof InstructionError ? { error: text, code: error.code } : { error: text };
};
