import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { programsFolder } from './cluster/settings.ts';

/*
 * The programs that tests start, hundreds of times in a run of all: reading their modules one by one is most of a start, so `npm test`
 * bundles them first. Vitest by itself starts them as they are.
 */
const root = join(import.meta.dirname, '..');
const sources = ['cli/launch.js', 'operator/main.ts', 'test/runtime/connectors/forbidden-file.ts'] as const;
/** Those of the runtime are bundled as in its image, with their compiled code (build.ts). */
const launched = {
  'runtime/main.ts': 'runtime',
  'test/runtime/engine/faulty-worker.ts': 'harmful',
  'test/runtime/intake/dying-intake.ts': 'harmful',
} as const;

/** The file that Node is to run. */
export type Program = (typeof sources)[number] | keyof typeof launched;
const isLaunched = (source: Program): source is keyof typeof launched => source in launched;
export const program = (source: Program): string => {
  if (!programsFolder) return join(root, source);
  if (isLaunched(source)) return join(root, 'dist', launched[source], 'runtime.cjs');
  return join(programsFolder, source.replace(/\.\w+$/, '.mjs'));
};

/** A module in place of runtime/expr/threads/programs.ts: threads start from the bundles of the image, nobody strips types for each. */
export const threadsOfBundles = {
  filter: /\/runtime\/expr\/threads\/programs\.ts$/,
  contents: `const folder = ${JSON.stringify(join(root, 'dist/runtime/'))};
    export const programOf = (name) => folder + name + '.cjs';
    export const engineFile = () => folder + 'quickjs.wasm';`,
};

/** A module that looks for a file beside itself stays where it is. */
const staysInPlace: Plugin = {
  name: 'stays in place',
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^\..*\.ts$/ }, async ({ path, pluginData, ...where }) => {
      if (pluginData === staysInPlace) return undefined;
      const found = await resolve(path, { ...where, pluginData: staysInPlace });
      if (threadsOfBundles.filter.test(found.path)) return found;
      return { ...found, external: (await readFile(found.path, 'utf8')).includes('import.meta.url') };
    });
    onLoad({ filter: threadsOfBundles.filter }, () => ({ contents: threadsOfBundles.contents, loader: 'js' }));
  },
};

/** Returns the folder of the bundles. */
export const bundlePrograms = async (): Promise<string> => {
  const outdir = join(root, 'node_modules', '.cache', 'programs');
  await rm(outdir, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: [...sources],
    outbase: root,
    outdir,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    keepNames: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    plugins: [staysInPlace],
    // CommonJS packages inside an ES module bundle call require for Node's own modules.
    banner: { js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  return outdir;
};
