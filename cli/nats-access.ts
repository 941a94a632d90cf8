import { type Access, type DeadLetters, openDeadLetters } from '../runtime/dead-letters/store.ts';
import { TransportError } from '../runtime/transport/transport.ts';
import type { NatsOptions } from './dead-letter-options.ts';
import { fileText } from './file-text.ts';
import { Finding, NoAccess } from './outcome.ts';

/** Opens an Integration's dead letters for as long as `use` runs. What NATS refuses is `NoAccess`. */
export const withDeadLetters = async (
  integration: string,
  options: NatsOptions,
  env: NodeJS.ProcessEnv,
  use: (letters: DeadLetters) => Promise<void>,
): Promise<void> => {
  const { hint, ...access } = await accessOf(integration, options, env);
  const letters = await openDeadLetters(integration, access).catch(explained(integration, hint));
  try {
    await use(letters).catch(explained(integration, ''));
  } finally {
    await letters.close();
  }
};

/** What is not given is read from the Integration's namespace. */
const accessOf = async (
  integration: string,
  { nats, creds, ca, namespace, kubeconfig }: NatsOptions,
  env: NodeJS.ProcessEnv,
): Promise<Access & { readonly hint: string }> => {
  const given = {
    ...(creds === undefined ? {} : { creds: fileText(creds, '--creds') }),
    ...(ca === undefined ? {} : { ca: fileText(ca, '--ca') }),
  };
  if (nats !== undefined && creds !== undefined) return { url: nats, ...given, hint: '' };
  const { readClusterAccess } = await import('./cluster-access.ts');
  const found = await readClusterAccess(integration, {
    namespace,
    env,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
  });
  const forward = `kubectl port-forward --namespace ${found.namespace} deployment/gateway 4222`;
  const hint = nats === undefined ? `; from outside of the cluster: ${forward}, and --nats tls://localhost:4222` : '';
  return { ...found, ...(nats === undefined ? {} : { url: nats }), ...given, hint };
};

const explained =
  (integration: string, hint: string) =>
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
    throw new NoAccess(`${error.message}${hint}`, { cause: error });
  };
