/*
 * Where a worker of a fault run kills itself, and what it says last. The points are reached by wrapping what the engine is given
 * (transport, steps, sinks); the engine itself knows nothing of them.
 */
export const killPoints = [
  'pulled',
  'parsed',
  'in step',
  'before sink',
  'after sink',
  'before ack',
  'after ack',
  'while parking',
] as const;
export type KillPoint = (typeof killPoints)[number];

/** Also where a worker may die that publishes: after what it published is stored. */
export interface KillPlan {
  readonly point: KillPoint | 'published';
  /** Dies when this many messages have reached the point. */
  readonly after: number;
}

/** The last line of a worker: what it had in its hands. */
export interface LastWords {
  readonly killed: KillPlan['point'] | 'no';
  readonly running: number;
  /** Messages that it got and that somebody had got before. */
  readonly redelivered: number;
  readonly suspects: number;
}

/** Body of a message of a fault run: what the `planned` step shall do with it. */
export interface PlannedBody {
  readonly n: number;
  /** Attempts that fail. */
  readonly fails: number;
  /** Never gets through: must become a dead letter. */
  readonly rejected: boolean;
  /** Ends the worker that runs it: `fault` by SIGSEGV, as native code does, `memory` by a heap that is full. */
  readonly harm?: 'fault' | 'memory';
}
