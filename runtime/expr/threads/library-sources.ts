import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/* Libraries as texts, for an engine that cannot import; the bundles hold them (build.ts). */
const { resolve } = createRequire(import.meta.url);
export const jsonataSource = readFileSync(resolve('jsonata/jsonata.min.js'), 'utf8');
/** Sets `exports.RE2JS`. */
export const re2Source = readFileSync(resolve('re2js'), 'utf8');
