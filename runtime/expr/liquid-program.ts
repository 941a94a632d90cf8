/** Where the thread's program lies; the bundle has another place for it (build.ts). */
export const liquidProgram: URL | string = new URL('./liquid-thread.ts', import.meta.url);
