import { describe, expect, it } from 'vitest';
import { checkedPath, folderForm, matches } from '../../../runtime/connectors/file-names.ts';

describe('names that are taken', () => {
  const cases: readonly [why: string, pattern: string, name: string, expected: boolean][] = [
    ['the very name', 'a.csv', 'a.csv', true],
    ['a star for nothing', 'a*.csv', 'a.csv', true],
    ['a star for dots, too', '*', 'a.b.csv', true],
    ['two stars', 'orders-*-*.csv', 'orders-fi-7.csv', true],
    ['the last part must fit', '*.csv', 'a.csv.tmp', false],
    ['a star that has to go back', '*ab', 'aab', true],
    ['one character', 'a?.csv', 'ab.csv', true],
    ['a question mark is not nothing', 'a?.csv', 'a.csv', false],
    ['brackets mean themselves', 'a[1].csv', 'a[1].csv', true],
    ['capitals differ', '*.CSV', 'a.csv', false],
    ['nothing', 'a', '', false],
  ];
  it.each(cases)('%s: %s and %s', (_, pattern, name, expected) => expect(matches(pattern, name)).toBe(expected));

  it('in time that grows with the lengths only', () => {
    expect(matches(`${'*a'.repeat(120)}b`, 'a'.repeat(255))).toBe(false);
  });
});

describe('names that a message gives', () => {
  const refused: readonly [why: string, name: unknown][] = [
    ['a way up', '../a'],
    ['a way up in between', 'a/../../b'],
    ['an absolute path', '/etc/passwd'],
    ['a hidden file', '.profile'],
    ['the folder of drafts', '.kanava/a'],
    ['a hidden folder', 'a/.ssh/b'],
    ['an empty part', 'a//b'],
    ['a folder', 'a/'],
    ['nothing', ''],
    ['NUL', 'a\0b'],
    ['a line break', 'a\nb'],
    ['a backslash, a way up elsewhere', '..\\a'],
    ['a huge part', 'ä'.repeat(101)],
    ['a huge path', `${'a/'.repeat(501)}a`],
    ['a deep path', `${'a/'.repeat(16)}a`],
    ['half a character', 'a\ud800'],
    ['a number', 7],
    ['nothing at all', undefined],
    ['null', null],
  ];
  it.each(refused)('%s is no name', (_, name) =>
    expect(() => checkedPath(name)).toThrow(
      expect.objectContaining({ code: 'FileNameRefused', instruction: 'reject' }),
    ),
  );
  it.each(['a.json', 'Äiti 7.txt', '2026/11/a.json', 'a..b', '~a'])('%s is one', (name) =>
    expect(checkedPath(name)).toBe(name),
  );
  it.each(['..', 'a/..', '/a', 'a/', '.a', 'a//b', 'a\0', 'a\\b'])('the folder %j is none', (folder) =>
    expect(folderForm.test(folder)).toBe(false),
  );
  it.each(['in', 'partners/acme', 'Päivän tilaukset'])('the folder %j is one', (folder) =>
    expect(folderForm.test(folder)).toBe(true),
  );
});
