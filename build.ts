import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

/*
 * `npm run build`: one folder of bundles for each image. Code behind a dynamic import stays in a chunk of its own, so a worker loads the
 * client of a system only when its flow uses it.
 */
export const bundles = {
  runtime: { 'runtime/runtime': 'runtime/main.ts' },
  operator: { 'operator/operator': 'operator/main.ts', 'operator/kanava': 'cli/main.ts' },
  receiver: { 'receiver/receiver': 'test/e2e/demo/receiver.ts' },
} as const;

const root = import.meta.dirname;

/** Bundles one image's programs into `dist/<image>`; returns the folder. */
export const bundle = async (image: keyof typeof bundles): Promise<string> => {
  const outdir = join(root, 'dist');
  const folder = join(outdir, image);
  rmSync(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: bundles[image],
    outdir,
    outExtension: { '.js': '.mjs' },
    chunkNames: `${image}/chunks/[name]-[hash]`,
    bundle: true,
    splitting: true,
    minify: true,
    keepNames: true,
    legalComments: 'none',
    platform: 'node',
    format: 'esm',
    target: 'node26',
    // CommonJS packages inside an ES module bundle call require for Node's own modules.
    banner: { js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);" },
    logLevel: 'warning',
  });
  return folder;
};

const sizeOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);

if (import.meta.main) {
  for (const image of Object.keys(bundles) as (keyof typeof bundles)[]) {
    const started = performance.now();
    const folder = await bundle(image);
    const kib = Math.round(sizeOf(folder) / 1024);
    console.log(
      `built ${basename(dirname(folder))}/${image}  ${kib} KiB  ${Math.round(performance.now() - started)} ms`,
    );
  }
}
