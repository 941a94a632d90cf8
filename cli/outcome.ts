/** Something that only a person can decide; exit code 1. The text names objects and keys, never a value. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** The cluster cannot be reached, or does not let us; exit code 3. */
export class NoAccess extends Error {
  override readonly name = 'NoAccess';
}

/** The command was called in a way that cannot work; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
