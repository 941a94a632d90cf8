/** One line to whoever waits. Long work says how long it has taken, so that silence means trouble. */
export type Progress = (line: string) => void;

export const toStderr: Progress = (line) => {
  process.stderr.write(`${line}\n`);
};

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Prefixes each line with the time since the start of the whole undertaking. */
export const withElapsed = (onProgress: Progress): Progress => {
  const start = performance.now();
  return (line) => onProgress(`${seconds(start).padStart(7)}  ${line}`);
};

/** Says that `what` started, repeats it with the time every `every` milliseconds, and says when it is done. */
export const step = async <T>(
  onProgress: Progress,
  what: string,
  work: () => Promise<T>,
  { every = 15_000 } = {},
): Promise<T> => {
  const start = performance.now();
  onProgress(what);
  const timer = setInterval(() => onProgress(`${what} ... ${seconds(start)}`), every);
  try {
    const result = await work();
    onProgress(`${what}: done in ${seconds(start)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
};
