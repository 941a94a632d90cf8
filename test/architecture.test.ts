import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalog } from '../runtime/catalog.ts';

/*
 * Who may import what. The table is the design (CONTRIBUTING.md explains it); the test proves that it saw the modules and that a planted
 * violation is caught.
 */
const root = resolve(import.meta.dirname, '..');

interface Rule {
  readonly from: RegExp;
  readonly may: readonly RegExp[];
}
const node = /^node:/;
const rules: readonly Rule[] = [
  { from: /^runtime\/errors\.ts$/, may: [] },
  { from: /^runtime\/message\.ts$/, may: [/^runtime\/errors\.ts$/, /^node:buffer$/] },
  { from: /^runtime\/schema\.ts$/, may: [/^zod$/] },
  { from: /^runtime\/connector\.ts$/, may: [/^zod$/, /^runtime\/(errors|message|schema)\.ts$/] },
  { from: /^runtime\/bodies\//, may: [node, /^runtime\/(bodies\/|nats\/|transport\/transport|errors\.ts$)/] },
  { from: /^runtime\/nats\//, may: [/^zod$/, node, /^runtime\/(nats\/|errors|message|schema)/] },
  {
    from: /^runtime\/expr\//,
    may: [
      /^runtime\/(errors|message|schema|connector)\.ts$/,
      /^runtime\/expr\//,
      /^zod$/,
      /^@marcbachmann\/cel-js/,
      /^(ajv|jsonata|re2js|liquidjs|quickjs-emscripten-core|@jitl\/.*)(\/|$)/,
      /^node:(fs|module|vm|worker_threads)$/,
    ],
  },
  {
    from: /^runtime\/(connectors|steps)\//,
    may: [
      /^runtime\/(connector|errors|message|schema|waiting)\.ts$/,
      /^runtime\/(expr|connectors|steps)\//,
      /^zod$/,
      node,
    ],
  },
  { from: /^runtime\/catalog\.ts$/, may: [/^runtime\/(connectors|steps)\//, /^runtime\/connector\.ts$/] },
  {
    from: /^runtime\/accept\.ts$/,
    may: [/^runtime\/(bodies\/|nats\/|expr\/key|transport\/transport|(connector|errors|flow|message)\.ts$)/],
  },
  { from: /^runtime\/mounted\.ts$/, may: [/^runtime\/(connector|flow|schema)\.ts$/, node] },
  {
    from: /^runtime\/intake\//,
    may: [
      /^runtime\/(intake\/|transport\/|nats\/)/,
      /^runtime\/(accept|catalog|connector|egress|errors|flow|mounted|settings|telemetry)\.ts$/,
      node,
    ],
  },
  { from: /^runtime\/flow\.ts$/, may: [/^runtime\/(catalog|connector|schema)\.ts$/, /^runtime\/expr\//, /^zod$/] },
  {
    from: /^runtime\/transport\//,
    may: [/^runtime\/(nats\/|transport\/|(connector|errors|message|telemetry)\.ts$)/, /^@nats-io\//, node],
  },
  {
    from: /^runtime\/gateway\//,
    may: [
      /^runtime\/(gateway\/|transport\/|nats\/|(accept|catalog|connector|errors|message|mounted|flow|schema|settings|telemetry)\.ts$)/,
      /^runtime\/connectors\/http-problem\.ts$/,
      /^runtime\/expr\//,
      /^@nats-io\//,
      /^fastify$/,
      /^zod$/,
      node,
    ],
  },
  {
    from: /^runtime\/dead-letters\//,
    may: [
      /^runtime\/(dead-letters|nats)\//,
      /^runtime\/transport\/(transport|pub-acks)\.ts$/,
      /^runtime\/(errors|message)\.ts$/,
      /^@nats-io\//,
    ],
  },
  { from: /^runtime\/egress\.ts$/, may: [/^runtime\/(connector|errors|flow)\.ts$/, /^ipaddr\.js$/, node] },
  {
    from: /^runtime\/engine\//,
    may: [
      /^runtime\/(engine\/|bodies\/|nats\/|(connector|flow|errors|message|schema|telemetry)\.ts$)/,
      /^runtime\/expr\//,
      /^runtime\/transport\/transport\.ts$/,
      node,
    ],
  },
  {
    from: /^operator\/api\//,
    may: [
      /^operator\/api\//,
      /^runtime\/(flow|catalog|connector|schema|errors)\.ts$/,
      /^runtime\/expr\//,
      /^zod$/,
      /^js-yaml$/,
      node,
    ],
  },
  {
    from: /^operator\/plan\//,
    may: [
      /^operator\/(plan|api)\//,
      /^operator\/(settings|reconcile\/ports)\.ts$/,
      /^runtime\/(nats\/|(flow|catalog|connector|schema|errors)\.ts$)/,
      /^node:crypto$/,
    ],
  },
  {
    from: /^operator\/control\//,
    may: [/^operator\/control\//, /^operator\/reconcile\/ports\.ts$/, /^prom-client$/, /^pino$/, node],
  },
  {
    from: /^operator\/kube\//,
    may: [
      /^operator\/(kube|control|api)\//,
      /^operator\/reconcile\/ports\.ts$/,
      /^undici$/,
      /^@kubernetes\/client-node$/,
      /^prom-client$/,
      /^pino$/,
      node,
    ],
  },
  {
    from: /^operator\/broker\//,
    may: [
      /^operator\/broker\//,
      /^operator\/reconcile\/ports\.ts$/,
      /^operator\/api\//,
      /^runtime\/(nats\/|(flow|schema|errors)\.ts$)/,
      /^@nats-io\//,
      /^zod$/,
      /^pino$/,
      /^prom-client$/,
      node,
    ],
  },
  {
    from: /^operator\/reconcile\//,
    may: [
      /^operator\/(reconcile|api|plan|control)\//,
      /^operator\/settings\.ts$/,
      /^runtime\/(nats\/|(flow|schema|catalog|connector)\.ts$)/,
      node,
    ],
  },
  {
    from: /^cli\//,
    may: [
      /^cli\//,
      /^operator\//,
      /^runtime\//,
      /^(commander|prom-client)$/,
      /^package\.json$/,
      /^js-yaml$/,
      /^zod$/,
      /^@peculiar\//,
      /^reflect-metadata$/,
      node,
    ],
  },
];

const sourceFiles = (): string[] =>
  ['runtime', 'operator', 'cli'].flatMap((half) =>
    readdirSync(join(root, half), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(half, name)),
  );

const importsOf = (text: string): string[] =>
  [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g,
    ),
  ].map((found) => (found[1] ?? found[2] ?? found[3]) as string);
const targetOf = (file: string, specifier: string): string =>
  specifier.startsWith('.') ? relative(root, resolve(root, dirname(file), specifier)) : specifier;

const violations = (file: string, text: string): string[] => {
  const rule = rules.find((candidate) => candidate.from.test(file));
  if (!rule) return [];
  return importsOf(text)
    .map((specifier) => targetOf(file, specifier))
    .filter((target) => !rule.may.some((allowed) => allowed.test(target)))
    .map((target) => `${file} may not import ${target}`);
};

describe('architecture', () => {
  const files = sourceFiles();

  it('saw the modules of every room', () => {
    expect(files.length).toBeGreaterThan(40);
    for (const rule of rules)
      expect(
        files.filter((file) => rule.from.test(file)),
        String(rule.from),
      ).not.toHaveLength(0);
  });

  it('catches a planted violation', () => {
    expect(violations('operator/plan/planted.ts', "import { connect } from '@nats-io/transport-node';")).toHaveLength(
      1,
    );
    expect(violations('runtime/engine/planted.ts', "import { x } from '../connectors/http.ts';")).toHaveLength(1);
    expect(violations('runtime/flow.ts', "await import('../operator/settings.ts')")).toHaveLength(1);
  });

  it('keeps to the table', () => {
    expect(files.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')))).toEqual([]);
  });

  it('keeps the runtime free of the operator and of Kubernetes', () => {
    const imports = files
      .filter((file) => file.startsWith('runtime/'))
      .flatMap((file) =>
        importsOf(readFileSync(join(root, file), 'utf8')).map((specifier) => targetOf(file, specifier)),
      );
    expect(imports.filter((target) => /^(operator|cli)\/|^@kubernetes/.test(target))).toEqual([]);
  });

  it('never names a connector or a step in the engine', () => {
    const names = [...catalog.sources.keys(), ...catalog.sinks.keys(), ...catalog.steps.keys()];
    const name = new RegExp(`['"](${names.join('|')})['"]`);
    const named = files
      .filter((file) => file.startsWith('runtime/engine/'))
      .filter((file) => name.test(readFileSync(join(root, file), 'utf8')));
    expect(named).toEqual([]);
  });

  it('reads the environment only at the edge', () => {
    const readers = files.filter((file) => /process\.env/.test(readFileSync(join(root, file), 'utf8')));
    expect(readers.filter((file) => !/(^|\/)(settings|main)\.ts$/.test(file))).toEqual([]);
  });

  it('keeps the plans pure: no clock, no chance, no input or output', () => {
    const impure = files
      .filter((file) => file.startsWith('operator/plan/'))
      .filter((file) =>
        /Date\.now\(|new Date\(\)|Math\.random|randomUUID|randomBytes|node:fs|fetch\(|console\./.test(
          readFileSync(join(root, file), 'utf8'),
        ),
      );
    expect(impure).toEqual([]);
  });

  it('gives each decision a number of its own', () => {
    const numbers = readdirSync(join(root, 'docs/decisions')).map((name) => name.slice(0, 3));
    expect(numbers.length).toBeGreaterThan(5);
    expect(numbers).toEqual([...new Set(numbers)]);
  });
});
