/*
 * The bytes of answers are outside of V8's heap and die young. Where little else is garbage, no young garbage is collected for many answers,
 * and V8 takes all those bytes for old ones: it then looks through its whole heap, each second, which costs more than all else that is done
 * with the answers. So young garbage is collected after some of them.
 */
const enoughBytes = 1_000_000;

/** To be told of each answer that nobody needs any more. Needs the flag `--expose-gc`; without it nothing happens. */
export const youngGarbage = (): ((bytes: number) => void) => {
  const { gc } = globalThis;
  if (!gc) return () => {};
  let uncollected = 0;
  return (bytes) => {
    uncollected += bytes;
    if (uncollected < enoughBytes) return;
    uncollected = 0;
    gc({ type: 'minor' });
  };
};
