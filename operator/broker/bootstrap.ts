import { systemPermissions } from '../../runtime/nats/permissions.ts';
import { encodeClaims, formatCreds } from './claims.ts';
import { keyFromSeed, newKey, newSeed, seedOf } from './keys.ts';

/*
 * What a NATS installation starts with: the operator's keys, the system account and the two users that Kanava's operator runs with. Made
 * once, by `kanava bootstrap`.
 */
export interface OperatorMaterial {
  /** Signs the operator token only; keep it for the day when the signing key must be replaced. */
  readonly identitySeed: string;
  /** Signs account tokens: all that the running operator needs. */
  readonly signingSeed: string;
  readonly operatorJwt: string;
  /** Public key of the system account. */
  readonly systemAccount: string;
  readonly systemJwt: string;
  /** Of the system account: makes further system users. */
  readonly systemSeed: string;
  /** May push, list, look up and delete account tokens. Whoever has it can knock tenants out. */
  readonly ctlCreds: string;
  /** May read the servers' JetStream figures. */
  readonly meterCreds: string;
}

const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
  disallow_bearer: true,
};

export const makeOperator = (): OperatorMaterial => {
  const issuedAt = Math.floor(Date.now() / 1000);
  const identity = newKey('operator');
  const signing = newKey('operator');
  const system = keyFromSeed(newSeed('account'));
  const user = (name: keyof typeof systemPermissions) => {
    const key = newKey('user');
    const { pub, sub } = systemPermissions[name];
    const jwt = encodeClaims(
      {
        type: 'user',
        version: 2,
        subs: -1,
        data: -1,
        payload: -1,
        pub: { allow: [...pub] },
        sub: { allow: [...sub] },
      },
      { name, subject: key.getPublicKey(), issuedAt },
      system,
    );
    return formatCreds(jwt, key);
  };
  return {
    identitySeed: seedOf(identity),
    signingSeed: seedOf(signing),
    operatorJwt: encodeClaims(
      {
        type: 'operator',
        version: 2,
        signing_keys: [signing.getPublicKey()],
        system_account: system.getPublicKey(),
      },
      { name: 'kanava', subject: identity.getPublicKey(), issuedAt },
      identity,
    ),
    systemAccount: system.getPublicKey(),
    systemJwt: encodeClaims(
      { type: 'account', version: 2, limits: unlimited },
      { name: 'SYS', subject: system.getPublicKey(), issuedAt },
      signing,
    ),
    systemSeed: seedOf(system),
    ctlCreds: user('ctl'),
    meterCreds: user('meter'),
  };
};

/** How often servers compare their account tokens, in seconds: a deletion is looked at again after that. */
export const resolverIntervalSeconds = 120;

/**
 * Text for nats.conf. `dir` is where the server keeps account tokens (its own folder on a volume). Servers of a cluster get the same.
 */
export const resolverConfig = (
  material: Pick<OperatorMaterial, 'operatorJwt' | 'systemAccount' | 'systemJwt'>,
  dir: string,
  intervalSeconds = resolverIntervalSeconds,
): string =>
  [
    `operator: ${material.operatorJwt}`,
    `system_account: ${material.systemAccount}`,
    `resolver: { type: full, dir: ${JSON.stringify(dir)}, allow_delete: true, interval: "${intervalSeconds}s", timeout: "1.9s" }`,
    `resolver_preload: { ${material.systemAccount}: ${material.systemJwt} }`,
    '',
  ].join('\n');
