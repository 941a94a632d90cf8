import { styleText } from 'node:util';
import type { FileFinding } from './finding.ts';

/** `file:line:column:` first, which editors and terminals make a link of. */
export const lineOf = ({ file, line, column, severity, path, message, rule }: FileFinding): string => {
  const place = styleText('bold', `${file}:${line}:${column}:`);
  const mark = severity === 'warning' ? `${styleText('yellow', 'warning:')} ` : '';
  return `${place} ${mark}${path === '' ? '' : `${path}: `}${message} (${rule})`;
};
