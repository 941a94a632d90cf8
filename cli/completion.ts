/*
 * Scripts for shells, made from the commands themselves. They hold every word, so that pressing Tab starts no process.
 */
export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly flag: string; readonly summary: string; readonly values: readonly string[] }[];
  /** Words that may be its argument; `files`: paths. */
  readonly argument: readonly string[] | 'files';
}
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

export const completionScript = (shell: Shell, commands: readonly CommandWords[]): string =>
  ({ bash, zsh, fish })[shell](commands);

const bash = (
  commands: readonly CommandWords[],
): string => `# kanava completion for bash: source <(kanava completion bash)
_kanava() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} $previous" in
${commands.flatMap(({ name, options }) => valuesOf(options).map(({ flag, values }) => `    "${name} ${flag}") COMPREPLY=($(compgen -W "${values.join(' ')}" -- "$current")); return;;`)).join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${commands.map((command) => `    ${command.name}) ${bashWords(command)};;`).join('\n')}
  esac
}
complete -o filenames -F _kanava kanava
`;
const valuesOf = (options: CommandWords['options']) => options.filter(({ values }) => values.length > 0);
const bashWords = ({ options, argument }: CommandWords): string => {
  const flags = options.map(({ flag }) => flag);
  const words = [...(argument === 'files' ? [] : argument), ...flags].join(' ');
  const files = argument === 'files' ? ' $(compgen -f -- "$current")' : '';
  return `COMPREPLY=($(compgen -W "${words}" -- "$current")${files})`;
};

const zsh = (commands: readonly CommandWords[]): string => `#compdef kanava
# kanava completion for zsh: source <(kanava completion zsh), or as _kanava in a folder of $fpath
_kanava() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map((command) => `    ${command.name}) _arguments ${zshWords(command).join(' ')};;`).join('\n')}
  esac
}
compdef _kanava kanava
`;
const zshWords = ({ options, argument }: CommandWords): string[] => [
  ...options.map(({ flag, summary, values }) =>
    quoted(`${flag}[${summary.replaceAll(/[[\]:]/g, ' ')}]${values.length > 0 ? `:value:(${values.join(' ')})` : ''}`),
  ),
  quoted(argument === 'files' ? '*:file:_files' : `*:name:(${argument.join(' ')})`),
];

const fish = (commands: readonly CommandWords[]): string =>
  [
    '# kanava completion for fish: kanava completion fish | source',
    'complete -c kanava -f',
    ...commands.flatMap(({ name, summary, options, argument }) => {
      const inside = `complete -c kanava -n '__fish_seen_subcommand_from ${name}'`;
      return [
        `complete -c kanava -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
        ...(argument === 'files'
          ? [`${inside} -F`]
          : argument.length > 0
            ? [`${inside} -a '${argument.join(' ')}'`]
            : []),
        ...options.map(
          ({ flag, summary: about, values }) =>
            `${inside} -l ${flag.slice(2)} -d ${quoted(about)}${values.length > 0 ? ` -x -a '${values.join(' ')}'` : ''}`,
        ),
      ];
    }),
    '',
  ].join('\n');

/** For the shell, between single quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
