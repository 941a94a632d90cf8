import type { KubeObject } from '../reconcile/ports.ts';
import { secretData } from './account.ts';
import { type Component, child, type Home } from './children.ts';
import { Secrets } from './kinds.ts';

/* NATS credentials of pods, and of people who look at dead letters: renewed at two thirds of their life, so that a day of trouble costs nobody anything. */
export const expiresAnnotation = 'kanava.dev/expires-at';
export const issuedForAnnotation = 'kanava.dev/account';

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
  const creds = (secret['data'] as Readonly<Record<string, string>> | undefined)?.['creds'];
  if (!creds || annotations[issuedForAnnotation] !== account || Number.isNaN(expires)) return true;
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
