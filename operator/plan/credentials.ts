import type { KubeObject } from '../reconcile/ports.ts';
import { secretData } from './account.ts';
import { type Component, child, type Home } from './children.ts';
import { Secrets } from './kinds.ts';

/* NATS credentials of pods, and of people who look at dead letters: renewed at two thirds of their life, so that a day of trouble costs nobody anything. */
export const expiresAnnotation = 'kanava.dev/expires-at';
export const issuedForAnnotation = 'kanava.dev/account';

/** Not a field of Kubernetes: nobody can write it. */
const held = 'holdsCredentials';
/**
 * What is kept of credentials: that they are there. They are read by those whom they are for, and nobody who names such a Secret gets at
 * another's login through the operator.
 */
export const withoutCredentials = (secret: KubeObject): KubeObject =>
  secret.metadata.annotations?.[issuedForAnnotation] !== undefined && dataOf(secret)['creds']
    ? { ...secret, data: {}, [held]: true }
    : secret;
const dataOf = (secret: KubeObject) => (secret['data'] ?? {}) as Readonly<Record<string, string>>;

/** Whether new credentials are due: none there, of another account, or two thirds of their life gone. */
export const isRenewalDue = (
  secret: KubeObject | undefined,
  account: string,
  lifetimeMs: number,
  now: number,
): boolean => {
  if (secret === undefined) return true;
  const { annotations = {} } = secret.metadata;
  const expires = Date.parse(annotations[expiresAnnotation] ?? '');
  const isThere = secret[held] === true || Boolean(dataOf(secret)['creds']);
  if (!isThere || annotations[issuedForAnnotation] !== account || Number.isNaN(expires)) return true;
  return now >= expires - lifetimeMs / 3;
};

export const planCredentials = (
  home: Home,
  name: string,
  component: Component | undefined,
  issued: { creds: string; expiresAt: number; account: string },
): KubeObject =>
  child(
    Secrets,
    home,
    name,
    { type: 'Opaque', data: secretData({ creds: issued.creds }) },
    {
      ...(component === undefined ? {} : { component }),
      annotations: {
        [expiresAnnotation]: new Date(issued.expiresAt).toISOString(),
        [issuedForAnnotation]: issued.account,
      },
    },
  );
