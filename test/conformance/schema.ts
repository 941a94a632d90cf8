import { expect, it } from 'vitest';
import type { z } from 'zod';

export type BadConfigs = readonly (readonly [why: string, config: unknown])[];

/** Mistakes are found where the configuration is read, before anything runs, and with a place. */
export const refusesBadConfig = (schema: z.ZodType, good: unknown, bad: BadConfigs): void => {
  const all: BadConfigs = [...bad, ['a field that there is not', { ...(good as object), surprise: true }]];
  it.each(all)('takes no configuration with %s', (_, config) => {
    expect(schema.safeParse(good).error).toBeUndefined();
    const { success, error } = schema.safeParse(config);
    expect([success, error?.issues.every(({ message }) => message.length > 0)]).toEqual([false, true]);
  });
};
