/**
 * What was found right a moment ago is not looked at again because something else has changed: Integrations come by the hundred, and each
 * of them makes its Tenant look. For what no watch tells of.
 */
export interface RecentLooks {
  /** What the last look found, if it was right, is fresh, and was for the same; else it looks. */
  take<Found>(
    key: string,
    inputs: readonly unknown[],
    look: () => Promise<Found>,
    isRight: (found: Found) => boolean,
  ): Promise<Found>;
  /** Something is known to have changed. */
  forget(key: string): void;
}
interface Look {
  readonly inputs: readonly unknown[];
  readonly at: number;
  readonly found: unknown;
}

/** Less than the time after which everything is looked at anyway. */
const usuallyFreshMs = 50_000;

export const createRecentLooks = (now: () => number, freshMs = usuallyFreshMs): RecentLooks => {
  const known = new Map<string, Look>();
  return {
    take: async <Found>(
      key: string,
      inputs: readonly unknown[],
      look: () => Promise<Found>,
      isRight: (found: Found) => boolean,
    ) => {
      const last = known.get(key);
      const isSame = last?.inputs.length === inputs.length && last.inputs.every((one, index) => one === inputs[index]);
      if (last && isSame && now() - last.at < freshMs) return last.found as Found;
      known.delete(key);
      const at = now();
      const found = await look();
      if (isRight(found)) known.set(key, { inputs, at, found });
      return found;
    },
    forget: (key) => void known.delete(key),
  };
};
