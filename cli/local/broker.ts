import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import type { State, Transport } from '../../runtime/transport/transport.ts';
import type { LocalIntegration } from './plan.ts';

/* What the Integrations of a namespace lie on while they run here: a broker in memory, or a real one. */
export interface LocalBroker {
  readonly transport: Transport;
  /** Answers for requests that are repeated. */
  readonly answers: State;
  /** Its streams and consumers are there from now on, and its dead letters are told. Rejects when they cannot be. */
  prepare(integration: LocalIntegration, told: (letter: DeadLetter) => void): Promise<void>;
  /** Messages of its inbox that only wait for their time. */
  timers(integration: string): number;
  /** Dead letters that are written and not told yet. */
  untold(): number;
  /** Tells people what stays behind; nothing where all is forgotten. */
  close(): Promise<readonly string[]>;
}
