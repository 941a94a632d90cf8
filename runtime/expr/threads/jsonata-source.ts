import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The library as a text, for an engine that cannot import; the bundles hold it (build.ts). */
export const jsonataSource = readFileSync(createRequire(import.meta.url).resolve('jsonata/jsonata.min.js'), 'utf8');
