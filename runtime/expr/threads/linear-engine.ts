import { re2Source } from './library-sources.ts';

/*
 * JavaScript of a class that stands in for RegExp where JSONata asks for one, inside of the machine: on an engine without backtracking. It takes
 * time to be read, by `ready` or else when the first regular expression is used. Those that were compiled are kept, since an expression makes
 * its own anew for each message.
 */
export const linearEngine = `(() => {
  const [longest, most] = [1_000, 200];
  const kept = new Map();
  let library;
  const read = () => {
    const exports = {};
    (0, eval)(${JSON.stringify(`(exports) => {${re2Source}\n}`)})(exports);
    return exports.RE2JS;
  };
  const compile = (source, flags) => {
    if (source.length > longest) throw new Error('a regular expression has at most ' + longest + ' characters');
    library ??= read();
    const has = (flag, value) => (flags.includes(flag) ? value : 0);
    try {
      return library.compile(
        library.translateRegExp(source),
        has('i', library.CASE_INSENSITIVE) | has('m', library.MULTILINE),
      );
    } catch (error) {
      const why = 'not a regular expression that can be used (look-around and back-references cannot): ';
      throw new Error(why + error.message);
    }
  };
  const compiled = (source, flags) => {
    const name = flags + '/' + source;
    const found = kept.get(name) ?? compile(source, flags);
    if (kept.size >= most) kept.clear();
    kept.set(name, found);
    return found;
  };
  return class {
    static ready() {
      library ??= read();
    }
    lastIndex = 0;
    constructor({ source, flags }) {
      this.compiled = compiled(source, flags);
    }
    exec(text) {
      if (this.lastIndex > text.length) return null;
      if (text !== this.text) [this.text, this.matcher] = [text, this.compiled.matcher(text)];
      const { matcher } = this;
      if (!matcher.find(this.lastIndex)) return null;
      const found = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? undefined);
      this.lastIndex = matcher.end();
      return Object.assign(found, { index: matcher.start() });
    }
  };
})()`;
