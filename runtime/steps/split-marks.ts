const carriageReturn = 13;

/** Where a line ends whose line feed, or end of all, is at `next`. */
export const endOfLine = (bytes: Uint8Array, start: number, next: number): number =>
  next > start && bytes[next - 1] === carriageReturn ? next - 1 : next;
