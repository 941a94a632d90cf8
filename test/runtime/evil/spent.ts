/** What work cost, in CPU time of this thread (ms), which is what other messages wait for: what others take of the machine is not counted. */
export const spentOn = async <T>(
  work: () => T | Promise<T>,
): Promise<{ readonly result: T; readonly spentMs: number }> => {
  const before = process.threadCpuUsage();
  const result = await work();
  const { user, system } = process.threadCpuUsage(before);
  return { result, spentMs: (user + system) / 1_000 };
};

export const longestStallMs = 250;

/** Every name that all objects share, and what it is. */
export const sharedNames = (
  shared: readonly object[] = [Object, Array, String, Number, Function].map(({ prototype }) => prototype as object),
): unknown =>
  shared.map((prototype) => {
    const names = Object.getOwnPropertyNames(prototype);
    return names.map((name) => [name, Object.getOwnPropertyDescriptor(prototype, name)?.value]);
  });

/**
 * The longest turn of the event loop meanwhile, in milliseconds of this thread's CPU: so long another message waits, however busy the machine
 * is with other things.
 */
export const longestTurnOf = async <T>(work: () => Promise<T>): Promise<{ result: T; turnMs: number }> => {
  let turnMs = 0;
  let last = process.threadCpuUsage();
  const look = () => {
    const { user, system } = process.threadCpuUsage(last);
    turnMs = Math.max(turnMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
  };
  let looking = setImmediate(function again() {
    look();
    looking = setImmediate(again);
  });
  try {
    const result = await work();
    look();
    return { result, turnMs };
  } finally {
    clearImmediate(looking);
  }
};
