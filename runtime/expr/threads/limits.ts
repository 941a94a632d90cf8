/* What a program may take for one input. */
export const heapMib = 64;
export const longestCpuMs = 500;
