import { createRequire } from 'node:module';

/** Languages that run in a thread: each has a program of this name here. */
export type ProgramName = 'jsonata' | 'liquid' | 'script';

/** Where a thread's program lies; the bundles have another place for it (build.ts). */
export const programOf = (name: ProgramName): URL | string => new URL(`./${name}.ts`, import.meta.url);

/** QuickJS as WebAssembly. */
export const engineFile = (): string =>
  createRequire(import.meta.url).resolve('@jitl/quickjs-wasmfile-release-sync/wasm');
