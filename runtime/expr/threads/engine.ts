import { promises } from 'node:fs';
import { engineFile } from './programs.ts';

declare global {
  namespace WebAssembly {
    function compile(bytes: Uint8Array): Promise<Module>;
  }
}

let compiled: Promise<WebAssembly.Module> | undefined;

/**
 * The engine that `openMachine` takes. Kept for the whole process: whatever one thread made of its code, others need not make again, and a
 * thread that was ended is back in a quarter of the time.
 */
export const compiledEngine = (): Promise<WebAssembly.Module> =>
  (compiled ??= promises.readFile(engineFile()).then((bytes) => WebAssembly.compile(bytes)));
