/** What users may know of every step whose language runs in a thread. */
export const threadLimits =
  'It runs in a thread of its own, with 64 MiB and 500 ms of CPU time for a message: beyond, the message is a dead letter (TooMuchMemory, TooSlow).';
