import { readFileSync } from 'node:fs';
import { type DeadLetters, openDeadLetters } from '../runtime/dead-letters/store.ts';
import { TransportError } from '../runtime/transport/transport.ts';
import type { NatsOptions } from './dead-letter-options.ts';
import { Finding, NoAccess, UsageError } from './outcome.ts';

/** Opens an Integration's dead letters for as long as `use` runs. What NATS refuses is `NoAccess`. */
export const withDeadLetters = async (
  integration: string,
  { nats, creds, ca }: NatsOptions,
  use: (letters: DeadLetters) => Promise<void>,
): Promise<void> => {
  const text = creds === undefined ? undefined : fileText(creds, '--creds');
  if (ca !== undefined) fileText(ca, '--ca');
  const letters = await openDeadLetters(integration, { url: nats, creds: text, ca }).catch(explained(integration));
  try {
    await use(letters).catch(explained(integration));
  } finally {
    await letters.close();
  }
};

const explained =
  (integration: string) =>
  (error: unknown): never => {
    if (!(error instanceof TransportError)) throw error;
    if (error.code === 'NoStream')
      throw new Finding(`there is no Integration ${integration} in this account: it has no dead letters`, {
        cause: error,
      });
    if (error.code === 'Denied')
      throw new NoAccess(`${error.message}: they must be of the role replay, or of more, and for ${integration}`, {
        cause: error,
      });
    throw new NoAccess(error.message, { cause: error });
  };

const fileText = (file: string, option: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${option}: ${(cause as Error).message}`, { cause });
  }
};
