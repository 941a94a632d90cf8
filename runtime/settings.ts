/** What the operator (or a test) says through the environment; everything else is a file below `dir`. */
export interface Settings {
  /** Holds `flow.json`, `nats/`, `secrets/` and `configs/`. */
  readonly dir: string;
  /** Holds the mounted volumes by the names of their claims. */
  readonly volumes: string;
  readonly tenant: string;
  readonly namespace: string;
  /** Of a worker or an intake; empty in the gateway. */
  readonly integration: string;
  readonly port: number;
  readonly healthPort: number;
  /** The gateway's way to NATS for people of the tenant; 0: none. */
  readonly relayPort: number;
  readonly logLevel: string;
  /** From SIGTERM to the end. */
  readonly graceMs: number;
}

export const readSettings = (env: Readonly<Record<string, string | undefined>>): Settings => {
  const number = (name: string, fallback: number): number => {
    const value = Number(env[name] ?? fallback);
    if (Number.isInteger(value) && value >= 0) return value;
    throw new Error(`${name} must be a whole number, not "${env[name]}"`);
  };
  return {
    dir: env['KANAVA_DIR'] ?? '/etc/kanava',
    volumes: env['KANAVA_VOLUMES'] ?? '/volumes',
    tenant: env['KANAVA_TENANT'] ?? '',
    namespace: env['KANAVA_NAMESPACE'] ?? '',
    integration: env['KANAVA_INTEGRATION'] ?? '',
    port: number('KANAVA_PORT', 8080),
    healthPort: number('KANAVA_HEALTH_PORT', 8081),
    relayPort: number('KANAVA_RELAY_PORT', 0),
    logLevel: env['KANAVA_LOG_LEVEL'] ?? 'info',
    graceMs: number('KANAVA_GRACE', 25) * 1_000,
  };
};
