import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { programsFolder } from './cluster/settings.ts';

/*
 * The programs that tests start, hundreds of times in a run of all: reading their modules one by one is most of a start, so `npm test`
 * bundles them first. Vitest by itself starts them as they are.
 */
const root = join(import.meta.dirname, '..');
const sources = [
  'cli/launch.js',
  'operator/main.ts',
  'runtime/main.ts',
  'test/runtime/connectors/forbidden-file.ts',
  'test/runtime/engine/faulty-worker.ts',
  'test/runtime/intake/dying-intake.ts',
] as const;

/** The file that Node is to run. */
export type Program = (typeof sources)[number];
export const program = (source: Program): string =>
  programsFolder ? join(programsFolder, source.replace(/\.\w+$/, '.mjs')) : join(root, source);

/** A module that looks for a file beside itself stays where it is. */
const staysInPlace: Plugin = {
  name: 'stays in place',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^\..*\.ts$/ }, async ({ path, pluginData, ...where }) => {
      if (pluginData === staysInPlace) return undefined;
      const found = await resolve(path, { ...where, pluginData: staysInPlace });
      return { ...found, external: (await readFile(found.path, 'utf8')).includes('import.meta.url') };
    });
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
