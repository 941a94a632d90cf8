/**
 * Errors are instructions to the engine. A connector or a step throws one of four; anything else that it throws is treated as
 * `retry` with back-off, because an unknown failure must never lose a message.
 *
 * - `retry`     try this message again after the back-off (or after `afterMs`, which a server asked for)
 * - `reject`    trying again cannot help: dead letter now
 * - `reconnect` the session is gone: reopen the connector, then try again
 * - `postpone`  it is not this message's turn: try again later; it was nobody's attempt, so it never ends in a dead letter
 */
export type Instruction = 'retry' | 'reject' | 'reconnect' | 'postpone';

/** Why a message failed, as operators and dead letters show it. `fatal` means configuration or credentials. */
export type FailureClass = 'transient' | 'permanent' | 'poison' | 'fatal';

export class InstructionError extends Error {
  override readonly name = 'InstructionError';
  readonly instruction: Instruction;
  /** CamelCase, stable; becomes the dead letter's code. */
  readonly code: string;
  readonly afterMs: number | undefined;
  readonly failure: FailureClass;

  constructor(instruction: Instruction, code: string, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.instruction = instruction;
    this.code = code;
    this.afterMs = options.afterMs;
    this.failure = options.failure ?? (instruction === 'reject' ? 'permanent' : 'transient');
  }
}

export interface FailureOptions {
  cause?: unknown;
  /** Milliseconds to wait before the next attempt, when the other side said so. */
  afterMs?: number;
  failure?: FailureClass;
}

export const retry = (code: string, message: string, options?: FailureOptions) =>
  new InstructionError('retry', code, message, options);
export const reject = (code: string, message: string, options?: FailureOptions) =>
  new InstructionError('reject', code, message, options);
/** @public For connectors that hold a session. */
export const reconnect = (code: string, message: string, options?: FailureOptions) =>
  new InstructionError('reconnect', code, message, options);

export const postpone = (code: string, message: string, options?: FailureOptions) =>
  new InstructionError('postpone', code, message, options);

/** The message of anything that was thrown, for texts that people read. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
