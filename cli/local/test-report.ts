import { stripVTControlCharacters, styleText } from 'node:util';
import { lineOf } from '../finding-line.ts';
import { counted } from '../output.ts';
import type { Mismatch } from './expectations.ts';
import type { CaseResult, FileResult } from './test-run.ts';

/* What was tried, for people and for programs that collect results. */

const isFine = ({ mismatches, error }: CaseResult): boolean => mismatches.length === 0 && error === undefined;
export const allPassed = (results: readonly FileResult[]): boolean =>
  results.every(({ findings, cases }) => findings.length === 0 && cases.every(isFine));

export const testText = (results: readonly FileResult[]): string => {
  const all = results.flatMap(({ cases }) => cases);
  const failed = all.filter((each) => !isFine(each)).length;
  const untried = results.filter(({ findings }) => findings.length > 0).length;
  const summary = [
    `${counted(results.length, 'file')}: ${all.length - failed} passed, ${failed} failed`,
    ...(untried > 0 ? [`${counted(untried, 'file')} not tried`] : []),
  ].join(', ');
  return [...results.flatMap(linesOf), summary].join('\n');
};

const linesOf = ({ file, findings, cases }: FileResult): string[] => [
  styleText('bold', file),
  ...findings.map((finding) => `  ${lineOf(finding)}`),
  ...cases.flatMap((each) => {
    const mark = isFine(each) ? styleText('green', 'ok  ') : styleText('red', 'FAIL');
    return [`  ${mark} ${each.name} (${each.ms} ms)`, ...detailsOf(each).map((line) => `       ${line}`)];
  }),
];

const detailsOf = ({ mismatches, error }: CaseResult): string[] => [
  ...(error === undefined ? [] : [styleText('red', error)]),
  ...mismatches.flatMap((mismatch) => [
    `${mismatch.path} (${styleText('red', '- expected')}, ${styleText('green', '+ got')})`,
    ...difference(mismatch),
  ]),
];

const difference = ({ expected, actual }: Mismatch): string[] => {
  const before = linesIn(expected);
  const after = linesIn(actual);
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  let end = 0;
  const shorter = Math.min(before.length, after.length) - start;
  while (end < shorter && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  return [
    ...before.slice(0, start).map((line) => `  ${line}`),
    ...before.slice(start, before.length - end).map((line) => styleText('red', `- ${line}`)),
    ...after.slice(start, after.length - end).map((line) => styleText('green', `+ ${line}`)),
    ...before.slice(before.length - end).map((line) => `  ${line}`),
  ];
};
const linesIn = (value: unknown): string[] => (JSON.stringify(value, undefined, 2) ?? 'nothing').split('\n');

/** As JUnit writes it and CI systems read it. */
export const junit = (results: readonly FileResult[]): string => {
  const suites = results.map(({ file, findings, cases }) => {
    const failures = findings.length + cases.filter((each) => !isFine(each)).length;
    const rows = [
      ...findings.map((finding) => row(file, 'can be read', 0, lineOf(finding))),
      ...cases.map((each) => row(file, each.name, each.ms, isFine(each) ? undefined : detailsOf(each).join('\n'))),
    ];
    const head = `<testsuite name="${escaped(file)}" tests="${rows.length}" failures="${failures}">`;
    return [head, ...rows, '</testsuite>'].join('\n');
  });
  return ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>', ...suites, '</testsuites>'].join('\n');
};

const row = (file: string, name: string, ms: number, failure: string | undefined): string => {
  const head = `<testcase classname="${escaped(file)}" name="${escaped(name)}" time="${ms / 1000}"`;
  if (failure === undefined) return `${head}/>`;
  return `${head}><failure>${escaped(failure)}</failure></testcase>`;
};

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[&<>"]/g, (found) => entities[found] ?? found)
    // XML knows no other control characters, not even escaped.
    .replace(/(?![\t\n\r])\p{Cc}/gu, '');
