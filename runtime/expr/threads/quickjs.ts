import declared from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
} from 'quickjs-emscripten-core';
import { InstructionError, reject } from '../../errors.ts';
import { heapMib, longestCpuMs } from './limits.ts';
import { BrokenThread } from './serve.ts';

/*
 * JavaScript of users runs in an engine of its own, as WebAssembly: nothing of Node is in it, and it gives up by itself where its memory,
 * stack or time ends. V8 does not: a single large list ends its whole process, whatever the limits of a thread are.
 */
export interface Machine {
  run(input: string): string;
}

/** What the package declares is its CommonJS form; imported, it is the other one. */
const variant = declared as unknown as typeof declared.default;

/** Of recursion in the engine; the thread itself has more. */
const stackBytes = 256 * 1024;

export interface MachineOptions {
  /** As `compiledEngine` gives it. */
  readonly engine: WebAssembly.Module;
  /** The world lives on after a message: for libraries. What users write starts in a new one each time. */
  readonly keep: boolean;
  /** `script`: lines of errors are told. */
  readonly file: 'script' | 'library';
}
/** `program` is a script whose value is a function: of a text, a text or a promise of one. */
export const openMachine = async (program: string, { engine, keep, file }: MachineOptions): Promise<Machine> => {
  const module = await newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmModule: engine }));
  const create = () => createWorld(module.newRuntime(), program, file);
  let world = keep ? create() : undefined;
  const leave = () => {
    const left = world;
    world = undefined;
    left?.close();
  };
  /** Where memory or time ended, the engine may not be able to clean up: that hides nothing of why. */
  const leaveAfter = (error: unknown) => {
    try {
      leave();
    } catch (cause) {
      if (error instanceof InstructionError) throw new BrokenThread(error.message, { cause, code: error.code });
      throw cause;
    }
  };
  return {
    run(input) {
      world ??= create();
      try {
        const made = world.run(input);
        if (!keep) leave();
        return made;
      } catch (error) {
        if (!keep || isSpent(error)) leaveAfter(error);
        throw error;
      }
    },
  };
};
const isSpent = (error: unknown): boolean => error instanceof InstructionError;

interface World {
  run(input: string): string;
  close(): void;
}

const createWorld = (runtime: QuickJSRuntime, program: string, file: string): World => {
  let [startedAt, late]: [NodeJS.CpuUsage | undefined, boolean] = [undefined, false];
  runtime.setMemoryLimit(heapMib * 1024 * 1024);
  runtime.setMaxStackSize(stackBytes);
  runtime.setInterruptHandler(() => {
    if (startedAt === undefined) return false;
    const { user, system } = process.threadCpuUsage(startedAt);
    late ||= (user + system) / 1_000 > longestCpuMs;
    return late;
  });
  const context = runtime.newContext();
  /** What the engine throws is told by its text; what is thrown by anything else means that the engine is no more. */
  const valueOf = (result: ReturnType<QuickJSContext['callFunction']>): QuickJSHandle => {
    if (result.error === undefined) return result.value;
    const text = textOf(context, result.error);
    result.error.dispose();
    throw refusal(text);
  };
  const refusal = (text: string): Error => {
    if (late) return reject('TooSlow', `it takes more than ${longestCpuMs} ms`);
    if (text.startsWith('InternalError: out of memory'))
      return reject('TooMuchMemory', `it takes more than ${heapMib} MiB`);
    return new Refused(text);
  };
  const entry = guarded(() => valueOf(context.evalCode(program, file)));
  const call = (input: string): string => {
    using argument = context.newString(input);
    using given = valueOf(context.callFunction(entry, context.undefined, argument));
    const jobs = runtime.executePendingJobs();
    // What ended a job may have been taken for its result, as if all were done.
    if (late) throw refusal('');
    if (jobs.error) throw refusal(textOf(context, jobs.error));
    const state = context.getPromiseState(given);
    if (state.type === 'pending') throw new Refused('it waits for what never comes');
    if (state.type === 'rejected') {
      using error = state.error;
      throw refusal(textOf(context, error));
    }
    const text = context.getString(state.value);
    if (!state.notAPromise) state.value.dispose();
    return text;
  };
  return {
    run(input) {
      [startedAt, late] = [process.threadCpuUsage(), false];
      return guarded(() => call(input));
    },
    close() {
      guarded(() => {
        entry.dispose();
        context.dispose();
        runtime.dispose();
      });
    },
  };
};

class Refused extends Error {}

/** Anything but what was refused in order is the engine's own end. */
const guarded = <T>(act: () => T): T => {
  try {
    return act();
  } catch (error) {
    if (error instanceof Refused || error instanceof InstructionError) throw error;
    throw new BrokenThread('the engine failed', { cause: error });
  }
};

/** `TypeError: ... (line 3)`. */
const textOf = (context: QuickJSContext, error: QuickJSHandle): string => {
  const thrown: unknown = context.dump(error);
  if (typeof thrown !== 'object' || thrown === null) return String(thrown);
  const { name, message, stack, code } = thrown as Readonly<Record<string, unknown>>;
  const line = typeof stack === 'string' ? /script:(\d+)/.exec(stack)?.[1] : undefined;
  const said = [code, message].filter((part) => typeof part === 'string').join(' ');
  return `${typeof name === 'string' && name !== '' ? `${name}: ` : ''}${said}${line === undefined ? '' : ` (line ${line})`}`;
};
