/** Languages that run in a thread: each has a program of this name here. */
export type ProgramName = 'jsonata' | 'liquid' | 'script';

/** Where a thread's program lies; the bundles have another place for it (build.ts). */
export const programOf = (name: ProgramName): URL | string => new URL(`./${name}.ts`, import.meta.url);
