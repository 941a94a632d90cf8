/*
 * What the demo tells: phases with their time, checks that hold or do not. A check that does not hold never ends the run; the exit code
 * says it.
 */
export interface Report {
  /** Runs a part of the demo and says how long it took. An error ends the demo. */
  phase<T>(title: string, work: () => Promise<T>): Promise<T>;
  /** `held` or not, with what was seen. */
  check(held: boolean, what: string): void;
  note(text: string): void;
  /** Checks that did not hold. */
  readonly failures: readonly string[];
  readonly checks: () => number;
  readonly timings: ReadonlyMap<string, number>;
}

export const createReport = (write: (line: string) => void): Report => {
  const started = performance.now();
  const failures: string[] = [];
  const timings = new Map<string, number>();
  let checks = 0;
  const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);
  return {
    failures,
    timings,
    checks: () => checks,
    phase: async (title, work) => {
      const begun = performance.now();
      write(`\n[${seconds(started).padStart(6)} s] ${title}`);
      const result = await work();
      timings.set(title, performance.now() - begun);
      write(`           done in ${seconds(begun)} s`);
      return result;
    },
    check: (held, what) => {
      checks++;
      if (!held) failures.push(what);
      write(`  ${held ? 'ok    ' : 'FAILED'} ${what}`);
    },
    note: (text) => {
      for (const line of text.trimEnd().split('\n')) write(`  ${line}`);
    },
  };
};
