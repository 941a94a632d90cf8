import { Worker } from 'node:worker_threads';
import { reject, retry } from '../../errors.ts';
import { heapMib, longestCpuMs } from './limits.ts';
import { type ProgramName, programOf } from './programs.ts';
import type { Result } from './serve.ts';

/*
 * Code of users that cannot be bounded from within runs in a thread: it has a heap of its own, nothing of the environment, and is ended when
 * one input takes too long. Inputs go in batches; the one that was running when the thread ended is rejected, the others run again.
 */
export interface Sandbox {
  /** Rejects with `TooSlow` or `TooMuchMemory` when the thread had to be ended, with `code` when the program threw. */
  run(input: string): Promise<string>;
  close(): Promise<void>;
}
export interface SandboxOptions {
  readonly program: ProgramName;
  /** What the program runs. */
  readonly data: unknown;
  /** Names it in errors: `template`. */
  readonly what: string;
  /** Of an input on which the program throws. */
  readonly code: string;
}

const isLimit = (code: string | undefined): code is string => code === 'TooSlow' || code === 'TooMuchMemory';
const mostOfABatch = 50;
const lookEveryMs = 50;
/** When the thread does not even say what it used. */
const longestSilenceMs = 30_000;
/** The engine counts its own stack (`stackBytes`); its parsers take up to forty times as much of the thread's, which must not end first. */
const stackMib = 24;

interface Item {
  readonly input: string;
  readonly resolve: (value: string) => void;
  readonly reject: (error: unknown) => void;
}

export const createSandbox = ({ program, data, what, code }: SandboxOptions): Sandbox => {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  let waiting: Item[] = [];
  let batch: readonly Item[] | undefined;
  let thread: Worker | undefined;
  let watch: NodeJS.Timeout | undefined;

  const start = (): Worker => {
    const started = new Worker(programOf(program), {
      workerData: { data, progress },
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: heapMib, maxYoungGenerationSizeMb: 8, stackSizeMb: stackMib },
    });
    started.on('message', (results: readonly Result[]) => {
      if (thread === started) answered(results);
    });
    started.on('error', (error: Error & { code?: string }) => {
      if (thread !== started) return;
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') ended(['TooMuchMemory', `it takes more than ${heapMib} MiB`]);
      else ended([isLimit(error.code) ? error.code : 'SandboxFailed', error.message]);
    });
    return started;
  };

  const answered = (results: readonly Result[]) => {
    const done = batch ?? [];
    batch = undefined;
    clearInterval(watch);
    for (const [index, item] of done.entries()) {
      const result = results[index];
      if (result && 'value' in result) item.resolve(result.value);
      else item.reject(reject(result?.code ?? code, `${what}: ${result?.error ?? 'it gave nothing'}`));
    }
    next();
  };

  const ended = ([why, text]: readonly [code: string, text: string]) => {
    const given = batch ?? [];
    const at = Atomics.load(progress, 0) - 1;
    batch = undefined;
    thread = undefined;
    clearInterval(watch);
    const culprit = given[at];
    if (culprit) culprit.reject(reject(why, `${what}: ${text}`));
    // It did not come to the first input: that is no message's fault.
    else for (const item of given) item.reject(retry(why, `${what} could not be started: ${text}`));
    waiting = [...(culprit ? given.filter((item) => item !== culprit) : []), ...waiting];
    next();
  };

  const kill = (text: string) => {
    const old = thread;
    ended(['TooSlow', text]);
    void old?.terminate();
  };

  const watchOver = (watched: Worker): NodeJS.Timeout => {
    let [at, since, used] = [0, performance.now(), Number.NaN];
    return setInterval(() => {
      const now = Atomics.load(progress, 0);
      if (now !== at) [at, since, used] = [now, performance.now(), Number.NaN];
      if (performance.now() - since > longestSilenceMs) return kill(`it is not done after ${longestSilenceMs} ms`);
      if (at === 0) return;
      watched.cpuUsage().then(
        ({ user, system }) => {
          if (thread !== watched || Atomics.load(progress, 0) !== at || now !== at) return;
          const usedMs = (user + system) / 1_000;
          if (Number.isNaN(used)) used = usedMs;
          else if (usedMs - used > longestCpuMs) kill(`it takes more than ${longestCpuMs} ms`);
        },
        // It has ended: that is told otherwise.
        () => undefined,
      );
    }, lookEveryMs);
  };

  const next = () => {
    if (batch || waiting.length === 0) return;
    batch = waiting.splice(0, mostOfABatch);
    Atomics.store(progress, 0, 0);
    thread ??= start();
    thread.postMessage(
      batch.map(({ input }) => input),
      [],
    );
    watch = watchOver(thread);
  };

  thread = start();
  return {
    run: (input) =>
      new Promise((resolve, refuse) => {
        waiting.push({ input, resolve, reject: refuse });
        // Those that come in one turn go together.
        queueMicrotask(next);
      }),
    async close() {
      clearInterval(watch);
      const old = thread;
      thread = undefined;
      await old?.terminate();
    },
  };
};
