import { z } from 'zod';

/** What a paused worker says of itself: the step or sink that failed and the code of its failure, and nothing of any message. */
export const pausedSchema = z.object({ part: z.string(), code: z.string() });
export type PausedRecord = z.infer<typeof pausedSchema>;
