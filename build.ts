import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

/*
 * `npm run build`: one folder of bundles for each image. The runtime's are single CommonJS files, the only form whose compiled code
 * V8 keeps whole; what is behind a dynamic import runs only when a flow uses it. The others are ES modules in chunks.
 */
interface Program {
  /** File in the image's folder, without its ending. */
  readonly to: string;
  readonly from: string;
  readonly plugins?: readonly Plugin[];
  /** Modules of the other role, which this one never loads. */
  readonly external?: readonly string[];
}

const root = import.meta.dirname;
/** As in images/runtime/Dockerfile: compiled code is only valid for the flags that it was made with. */
export const runtimeFlags = ['--max-semi-space-size=4'];

/**
 * An ES import of `node:http` evaluates every export of it, getters too, and one of them loads Node's copy of undici: 15 MiB for nothing.
 * Taking the module itself does not.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/**
 * A worker reads a flow that the operator has parsed with the very schemas that connectors and steps declare, and parses nothing again.
 * Its bundle has a stand-in that accepts the declarations and does nothing: 15 MiB and a third of the start less (decision 008).
 */
const noSchemas: Plugin = {
  name: 'no schemas',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^zod$/ }, ({ path }) => ({ path, namespace: 'no-schemas' }));
    onLoad({ filter: /.*/, namespace: 'no-schemas' }, () => ({
      contents: `export const z = new Proxy(function () {}, { get: () => z, apply: () => z });`,
      loader: 'js',
    }));
  },
};

export const bundles = {
  runtime: [
    {
      to: 'worker',
      from: 'runtime/main.ts',
      plugins: [lazyBuiltins, noSchemas],
      external: ['./gateway/gateway.ts'],
    },
    { to: 'gateway', from: 'runtime/main.ts', plugins: [lazyBuiltins], external: ['./worker.ts'] },
  ],
  operator: [
    { to: 'operator', from: 'operator/main.ts' },
    { to: 'kanava', from: 'cli/main.ts' },
  ],
  receiver: [{ to: 'receiver', from: 'test/e2e/demo/receiver.ts' }],
} as const satisfies Record<string, readonly Program[]>;
type Image = keyof typeof bundles;

const forms = {
  runtime: { format: 'cjs', outExtension: { '.js': '.cjs' } },
  operator: {
    format: 'esm',
    splitting: true,
    outExtension: { '.js': '.mjs' },
    // CommonJS packages inside an ES module bundle call require for Node's own modules.
    banner: { js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
  },
  receiver: { format: 'esm', outExtension: { '.js': '.mjs' } },
} as const;

interface File {
  readonly path: string;
  readonly contents: Uint8Array;
}
const output = async (image: Image, { to, from, plugins = [], external = [] }: Program): Promise<File[]> => {
  const { outputFiles } = await build({
    ...forms[image],
    absWorkingDir: root,
    entryPoints: { [to]: from },
    outdir: join(root, 'dist', image),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    minify: true,
    keepNames: true,
    legalComments: 'none',
    platform: 'node',
    target: 'node26',
    plugins: [...plugins],
    external: [...external],
    logLevel: 'warning',
    write: false,
  });
  return outputFiles;
};

/**
 * Starts each role once as the image will, without a server to connect to, so that V8's compiled code of all that a start runs lies beside
 * the bundles.
 */
const compile = async (launcher: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'kanava-build-'));
  mkdirSync(join(folder, 'nats'));
  writeFileSync(join(folder, 'nats/url'), 'nats://127.0.0.1:9');
  writeFileSync(join(folder, 'flow.json'), JSON.stringify(exampleFlow));
  const identity = { KANAVA_TENANT: 'build', KANAVA_NAMESPACE: 'build', KANAVA_INTEGRATION: 'build' };
  await Promise.all(
    ['worker', 'gateway'].map(async (role) => {
      const child = spawn(process.execPath, [...runtimeFlags, launcher, role], {
        env: { ...identity, KANAVA_DIR: folder, KANAVA_PORT: '0', KANAVA_HEALTH_PORT: '0', KANAVA_GRACE: '1' },
        stdio: 'ignore',
      });
      const ended = once(child, 'exit');
      // Long enough to have loaded everything and to have failed to connect; compiled code is written at the end.
      setTimeout(() => child.kill('SIGTERM'), 1_500);
      setTimeout(() => child.kill('SIGKILL'), 15_000).unref();
      await ended;
    }),
  );
  rmSync(folder, { recursive: true, force: true });
};

const exampleFlow = {
  version: 1,
  tenant: 'build',
  namespace: 'build',
  integration: 'build',
  uid: 'build',
  generation: 1,
  sources: [{ name: 'in', http: { path: '/in' } }],
  steps: [
    { name: 'some', filter: { when: "body.total > 10.0 && headers['x-kind'] == 'order'" } },
    { name: 'shape', map: { body: { id: '=attrs.id', lines: '=body.lines.map(line, line.sku)' } } },
  ],
  flows: [],
  sinks: [{ name: 'out', http: { connectionRef: { name: 'there' } } }],
  connections: { there: { http: { url: 'http://127.0.0.1:9' } } },
  delivery: {
    timeout: '30s',
    retry: { attempts: 5, backoff: { initial: '1s', max: '5m' } },
    ordering: 'None',
    partitions: 1,
    concurrency: 64,
  },
  egress: { allow: [], closed: [] },
};

/** Bundles one image's programs into `dist/<image>`, unless they are there already; returns the folder. */
export const bundle = async (image: Image): Promise<string> => {
  const folder = join(root, 'dist', image);
  const files = (await Promise.all(bundles[image].map((program) => output(image, program)))).flat();
  const launcher = join(folder, 'runtime.cjs');
  if (image === 'runtime') files.push({ path: launcher, contents: readFileSync(join(root, 'runtime/launch.cjs')) });
  const digest = createHash('sha256').update(process.version);
  for (const { path, contents } of files) digest.update(relative(folder, path)).update(contents);
  const stamp = join(root, 'dist', `${image}.sha256`);
  const hash = digest.digest('hex');
  if (readStamp(stamp) === hash) return folder;
  rmSync(folder, { recursive: true, force: true });
  for (const { path, contents } of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
  if (image === 'runtime') await compile(launcher);
  writeFileSync(stamp, hash);
  return folder;
};

const readStamp = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

if (import.meta.main) {
  for (const image of Object.keys(bundles) as Image[]) {
    const started = performance.now();
    const folder = await bundle(image);
    console.log(`built ${relative(root, folder)} in ${Math.round(performance.now() - started)} ms`);
  }
}
