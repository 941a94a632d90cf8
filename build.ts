import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { build, type Plugin } from 'esbuild';
import { jsonataSource, re2Source } from './runtime/expr/threads/library-sources.ts';
import { engineFile, type ProgramName } from './runtime/expr/threads/programs.ts';
import { startNats } from './test/cluster/nats.ts';
import { resolvedFlow } from './test/flow.ts';

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
export const runtimeFlags = ['--min-semi-space-size=4', '--max-semi-space-size=16', '--no-lazy-feedback-allocation'];
/** As in images/operator/Dockerfile, and in the chart. */
export const operatorFlags: readonly string[] = ['--max-semi-space-size=4', '--expose-gc'];
/** As in images/operator/Dockerfile. */
export const operatorEnv = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '16384',
  MALLOC_TRIM_THRESHOLD_: '131072',
} as const;

/**
 * An ES import of `node:http` evaluates every export of it, getters too, and one of them loads Node's copy of undici: 15 MiB for nothing.
 * Taking the module itself does not.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: path === 'node:tls' ? tlsOnUse : `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/** All that the NATS client takes from node:tls, which costs 15 ms: loaded by the first connection that uses TLS. */
const tlsOnUse = `module.exports = {
  connect: (...options) => process.getBuiltinModule('node:tls').connect(...options),
  TLSSocket: { [Symbol.hasInstance]: (socket) => socket.encrypted === true },
};`;

/** What the NATS client has for keys and signs with in plain JavaScript: runtime/nats/creds.ts signs instead. */
const ownSignatures: Plugin = {
  name: 'own signatures',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@nats-io\/nkeys$/ }, ({ path }) => ({ path, namespace: 'own-signatures' }));
    onLoad({ filter: /.*/, namespace: 'own-signatures' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
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

/** Libraries that few flows use: files of their own, so that the others need not read them. */
const apart = new Map([
  ['prom-client', 'prom-client'],
  ['re2js', 're2js'],
  ['ajv/dist/2020.js', 'ajv'],
]);
const keptApart: Plugin = {
  name: 'kept apart',
  setup({ onResolve }) {
    onResolve({ filter: /^(prom-client|re2js|ajv\/dist\/2020\.js)$/ }, ({ path, kind }) =>
      kind === 'entry-point' ? undefined : { path: `./${apart.get(path)}.cjs`, external: true },
    );
  },
};

/** Programs of threads lie beside the bundle that was started. */
const threadsBeside = (ending: 'cjs' | 'mjs'): Plugin => ({
  name: 'threads beside',
  setup({ onLoad }) {
    onLoad({ filter: /runtime\/expr\/threads\/programs\.ts$/ }, () => ({
      contents: `const beside = (name) => process.getBuiltinModule('node:path').join(process.argv[1], '..', name);
        export const programOf = (name) => beside(name + '.${ending}');
        export const engineFile = () => beside('quickjs.wasm');`,
      loader: 'js',
    }));
  },
});
/** Libraries that are not imported but read: by an engine that has no imports. */
const librariesAsText: Plugin = {
  name: 'libraries as text',
  setup({ onLoad }) {
    onLoad({ filter: /runtime\/expr\/threads\/library-sources\.ts$/ }, () => ({
      contents: `export const jsonataSource = ${JSON.stringify(jsonataSource)}; export const re2Source = ${JSON.stringify(re2Source)};`,
      loader: 'js',
    }));
  },
};
const threads = (['jsonata', 'liquid', 'script'] as const satisfies readonly ProgramName[]).map((name) => ({
  to: name,
  from: `runtime/expr/threads/${name}.ts`,
  plugins: [librariesAsText],
}));

const withoutSchemas = [lazyBuiltins, ownSignatures, noSchemas, keptApart, threadsBeside('cjs')];
const besideRuntime = [...[...apart].map(([from, to]) => ({ to, from, plugins: [lazyBuiltins] })), ...threads];

export const bundles = {
  runtime: [
    {
      to: 'worker',
      from: 'runtime/main.ts',
      plugins: withoutSchemas,
      external: ['./gateway/gateway.ts', './intake/intake.ts'],
    },
    {
      to: 'intake',
      from: 'runtime/main.ts',
      plugins: withoutSchemas,
      external: ['./gateway/gateway.ts', './worker.ts'],
    },
    {
      to: 'gateway',
      from: 'runtime/main.ts',
      plugins: [lazyBuiltins, ownSignatures, keptApart, threadsBeside('cjs')],
      external: ['./worker.ts', './intake/intake.ts'],
    },
    ...besideRuntime,
  ],
  // For tests of faults: worker and intake that harm themselves, made as the image's are.
  harmful: [
    { to: 'worker', from: 'test/runtime/engine/faulty-worker.ts', plugins: withoutSchemas },
    { to: 'intake', from: 'test/runtime/intake/dying-intake.ts', plugins: withoutSchemas },
    ...besideRuntime,
  ],
  operator: [
    { to: 'operator', from: 'operator/main.ts' },
    { to: 'kanava', from: 'cli/main.ts', plugins: [threadsBeside('mjs')] },
    ...threads,
  ],
  receiver: [{ to: 'receiver', from: 'test/e2e/demo/receiver.ts' }],
} as const satisfies Record<string, readonly Program[]>;
type Image = keyof typeof bundles;
export const images = ['runtime', 'operator', 'receiver'] as const satisfies readonly Image[];

/** Those that launch.cjs starts, and their roles. */
const launched: Readonly<Record<Image, readonly string[]>> = {
  runtime: ['worker', 'gateway', 'intake'],
  harmful: ['worker', 'intake'],
  operator: [],
  receiver: [],
};

// Node's dynamic import does not work in a script with compiled code, require does.
const script = {
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  supported: { 'dynamic-import': false },
  // The global one loads all of Web Crypto for the random bytes of the NATS client's names: 3 ms.
  // A CommonJS file has no address but its path, which does for QuickJS.
  define: { 'globalThis.crypto': 'randomness', 'import.meta.url': '__filename' },
  banner: {
    js: "const randomness = { getRandomValues: (bytes) => process.getBuiltinModule('node:crypto').randomFillSync(bytes) };",
  },
} as const;
const forms = {
  runtime: script,
  harmful: script,
  operator: {
    format: 'esm',
    splitting: true,
    outExtension: { '.js': '.mjs' },
    // CommonJS packages inside an ES module bundle call require for Node's own modules.
    banner: { js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
  },
  receiver: { format: 'esm', outExtension: { '.js': '.mjs' } },
} as const;

/**
 * Names are kept, for errors and profiles, by leaving them as they are: `keepNames` would give each function its name whenever it is made, which
 * happens many times for every message and every reconcile.
 */
const short = { minifyWhitespace: true, minifySyntax: true } as const;

interface File {
  readonly path: string;
  readonly contents: Uint8Array;
}
interface Built {
  readonly files: readonly File[];
  /** Paths of the modules in them. */
  readonly modules: readonly string[];
}
const output = async (image: Image, { to, from, plugins = [], external = [] }: Program): Promise<Built> => {
  const { outputFiles, metafile } = await build({
    ...forms[image],
    absWorkingDir: root,
    entryPoints: { [to]: from },
    outdir: join(root, 'dist', image),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    ...short,
    legalComments: 'none',
    platform: 'node',
    target: 'node26',
    plugins: [...plugins],
    external: [...external],
    logLevel: 'warning',
    write: false,
    metafile: true,
  });
  // Those of plugins have a namespace before them, and are part of this module.
  return { files: outputFiles, modules: Object.keys(metafile.inputs).filter((path) => !path.includes(':')) };
};

/**
 * Starts each role once as the image will, so that V8's compiled code of all that a start runs lies beside the bundles. The worker
 * delivers one message through a real NATS to a local server, because the first message is part of a start from zero.
 */
const compile = async (launcher: string, roles: readonly string[]): Promise<void> => {
  await using nats = await startNats();
  const folder = mkdtempSync(join(tmpdir(), 'kanava-build-'));
  const there = createServer((request, response) => request.resume().once('end', () => response.end()));
  there.listen(0, '127.0.0.1');
  await once(there, 'listening');
  const { port } = there.address() as AddressInfo;
  mkdirSync(join(folder, 'nats'));
  writeFileSync(join(folder, 'nats/url'), nats.url);
  writeFileSync(join(folder, 'flow.json'), JSON.stringify(resolvedFlow('build', `http://127.0.0.1:${port}`)));
  const streams = await storeOneMessage(nats.url);
  const start = (role: string) =>
    spawn(process.execPath, [...runtimeFlags, launcher, role], {
      env: {
        KANAVA_TENANT: 'build',
        KANAVA_NAMESPACE: 'build',
        KANAVA_INTEGRATION: 'build',
        KANAVA_DIR: folder,
        KANAVA_PORT: '0',
        KANAVA_HEALTH_PORT: '0',
        KANAVA_GRACE: '1',
      },
      stdio: 'ignore',
    });
  const started = roles.map(start);
  const until = Date.now() + 15_000;
  while ((await streams.left()) > 0 && Date.now() < until) await pause(50);
  const ended = started.map((child) => once(child, 'exit'));
  // Node writes the compiled code at the end of each process.
  for (const child of started) child.kill('SIGTERM');
  await Promise.all(ended);
  await streams.close();
  there.close();
  rmSync(folder, { recursive: true, force: true });
};

const storeOneMessage = async (url: string) => {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'KV_state', subjects: ['$KV.state.>'], allow_direct: true, allow_msg_ttl: true });
  await manager.streams.add({ name: 'inbox_build', subjects: ['inbox.build.*.*'], retention: 'workqueue' });
  await manager.consumers.add('inbox_build', { durable_name: 'worker-0', ack_policy: 'explicit' });
  const attributes = headers();
  for (const [name, value] of Object.entries({ id: '1', source: '/build', type: 'order', specversion: '1.0' }))
    attributes.set(`ce-${name}`, value);
  await connection.request('inbox.build.0.in', JSON.stringify({ total: 20, lines: [{ sku: 'a' }] }), {
    headers: attributes,
    timeout: 5_000,
  });
  return {
    left: async () => (await manager.streams.info('inbox_build')).state.messages,
    close: () => connection.close(),
  };
};

/** Bundles one image's programs into `dist/<image>`, unless they are there already; returns the folder. */
export const bundle = async (image: Image): Promise<string> => {
  const folder = join(root, 'dist', image);
  const stampFile = join(root, 'dist', `${image}.json`);
  const stamp = readStamp(stampFile);
  if (stamp && stamp.from === digestOfModules(stamp.modules)) return folder;
  const built = await Promise.all(bundles[image].map((program) => output(image, program)));
  const files = built.flatMap((program) => program.files);
  const launcher = join(folder, 'runtime.cjs');
  const roles = launched[image];
  if (roles.length > 0) files.push({ path: launcher, contents: readFileSync(join(root, launchSource)) });
  if (image !== 'receiver') files.push({ path: join(folder, 'quickjs.wasm'), contents: readFileSync(engineFile()) });
  const digest = createHash('sha256').update(process.version);
  for (const { path, contents } of files) digest.update(relative(folder, path)).update(contents);
  const hash = digest.digest('hex');
  // The same programs with another comment keep their compiled code, and so their image.
  if (stamp?.made !== hash) {
    rmSync(stampFile, { force: true });
    rmSync(folder, { recursive: true, force: true });
    for (const { path, contents } of files) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, contents);
    }
    if (roles.length > 0) await compile(launcher, roles);
  }
  const modules = [...new Set([...built.flatMap((program) => program.modules), ...makers])].sort();
  const from = digestOfModules(modules);
  writeFileSync(stampFile, JSON.stringify({ made: hash, from, modules } satisfies Stamp));
  return folder;
};

/** What a folder of `dist` was made from, to see without bundling whether it would come out the same. */
interface Stamp {
  /** Digest of the bundles. */
  readonly made: string;
  /** Digest of the modules. */
  readonly from: string | undefined;
  readonly modules: readonly string[];
}
const launchSource = 'runtime/launch.cjs';
/** What decides besides the modules how they are bundled. */
const makers = ['build.ts', 'package-lock.json', 'package.json', 'tsconfig.json', launchSource];

const digestOfModules = (modules: readonly string[]): string | undefined => {
  const digest = createHash('sha256').update(process.version);
  try {
    for (const path of modules) digest.update(path).update(readFileSync(join(root, path)));
  } catch {
    return undefined;
  }
  return digest.digest('hex');
};

const readStamp = (file: string): Stamp | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Stamp;
  } catch {
    return undefined;
  }
};

if (import.meta.main) {
  for (const image of images) {
    const started = performance.now();
    const folder = await bundle(image);
    console.log(`built ${relative(root, folder)} in ${Math.round(performance.now() - started)} ms`);
  }
}
