#!/usr/bin/env bats
# Help, wrong words, the manual and the completions: they need no library and no model.
load helpers

commands() { "$CLIPSEARCH" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

@test "clipsearch alone says what it does and how to begin" {
    try
    expect_status 0
    expect_in_output "Usage: clipsearch COMMAND"
    expect_in_output "clipsearch index ~/Pictures"
    local alone="$output"
    try --help
    expect_output "$alone"
    try help
    expect_output "$alone"
}

@test "every command explains itself: usage, options, examples, exit status" {
    local command
    [ "$(commands | wc -l)" -ge 10 ]
    for command in $(commands); do
        try "$command" --help
        expect_status 0
        expect_in_output "Usage: clipsearch $command"
        expect_in_output "Options of every command:"
        expect_in_output "--db FILE"
        expect_in_output "Examples:"
        expect_in_output "Exit status:"
        [ -z "$stderr" ] || fail_with "$command --help spoke on stderr"
        local help="$output"
        try help "$command"
        expect_output "$help"
        try "$command" anything --nonsense
        expect_status 2
    done
}

@test "no line of help is wider than a terminal" {
    local command
    for command in $(commands); do
        # an example is one line whatever its length
        try_pipe "clipsearch $command --help | sed '/^Examples:/,/^\$/d' | awk 'length > 80 && !/^ *(-., )?--/'"
        expect_output ""
    done
}

@test "an unknown command gets a suggestion" {
    try serach dog
    expect_status 2
    expect_in_stderr 'there is no command "serach"; did you mean search?'
    try bird
    expect_status 2
    expect_in_stderr "clipsearch search bird"
}

@test "an unknown option gets a suggestion, on stderr, and status 2" {
    try search dog --jsno
    expect_status 2
    expect_output ""
    expect_in_stderr "there is no option --jsno; did you mean --json?"
    expect_in_stderr "clipsearch search --help"
    try --versoin
    expect_status 2
    expect_in_stderr "did you mean --version?"
}

@test "options work before and after the command" {
    try --db "$BATS_TEST_TMPDIR/none.db" status
    expect_status 2
    expect_in_stderr "none.db"
    try status --db "$BATS_TEST_TMPDIR/none.db"
    expect_status 2
    expect_in_stderr "none.db"
}

@test "--version names the version, the processor and the formats" {
    try --version
    expect_status 0
    [[ "${lines[0]}" =~ ^clipsearch\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail_with "no version"
    expect_in_output "jpeg png"
    try search --version
    expect_status 0
}

@test "a wrong date, place, number or shape is named before anything is opened" {
    try search dog --after 2023-02-30
    expect_status 2
    expect_in_stderr '--after: "2023-02-30" is no date; write 2023, 2023-07 or 2023-07-14'
    try search dog --before yesterday
    expect_status 2
    try search dog --near 91,0
    expect_status 2
    expect_in_stderr "LAT,LON"
    try search dog --orientation oval
    expect_status 2
    expect_in_stderr "portrait|landscape|square"
    try search dog -k ten
    expect_status 2
    expect_in_stderr "a whole number"
    try search dog -k -1
    expect_status 2
    try search dog --paths --json
    expect_status 2
    expect_in_stderr "choose one of"
}

@test "a question without words is refused" {
    try search
    expect_status 2
    expect_in_stderr "say what to look for"
    try search ""
    expect_status 2
    try search dog --subtract ""
    expect_status 2
    try similar
    expect_status 2
    try embed
    expect_status 2
}

@test "results that cannot be written are an error, and a reader that leaves is none" {
    try_pipe 'clipsearch help search >/dev/full'
    expect_status 2
    expect_in_stderr "cannot write the results: No space left on device"
    try_pipe 'clipsearch help search >&-'
    expect_status 2
    expect_in_stderr "cannot write the results"
    try_pipe 'set -o pipefail; for i in 1 2 3 4 5; do clipsearch help search; done | head -n 1'
    [ -z "$stderr" ] || fail_with "a closed pipe was reported"
    try_pipe 'trap "" PIPE; clipsearch help search | true'
    [ -z "$stderr" ] || fail_with "a closed pipe was reported"
}

@test "a closed stderr never ends up in a file" {
    try_pipe 'clipsearch search dog --db "$BATS_TEST_TMPDIR/x.db" 2>&-'
    expect_status 2
    expect_output ""
}

@test "there is a manual page for every command, without a formatter's complaint" {
    command -v groff >/dev/null || skip "groff is not installed"
    local command
    for command in "" $(commands); do
        try_pipe "clipsearch --generate man $command | groff -man -Tutf8 -ww -z"
        expect_status 0
        [ -z "$stderr" ] || fail_with "groff complained about $command"
        try_pipe "clipsearch --generate man $command | groff -man -Tascii -P-cbou"
        expect_in_output "EXIT STATUS"
    done
}

@test "the build installs a page for each command that there is" {
    local listed
    listed=$(sed -n "s/^commands = \[\(.*\)\]/\1/p" "$TESTS/../man/meson.build" | tr -d "', " | tr -d '\n')
    [ "$listed" = "$(commands | tr -d '\n')" ] || fail_with "man/meson.build lists: $listed"
}

@test "bash completes commands, options and their words" {
    clipsearch --generate bash >completion.bash
    bash -n completion.bash
    cat >>completion.bash <<'END'
complete_line() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _clipsearch 2>/dev/null
    echo "${COMPREPLY[*]}"
}
complete_line clipsearch sea
complete_line clipsearch search --orie
complete_line clipsearch search --orientation p
complete_line clipsearch --db x model u
complete_line clipsearch help exp
complete_line clipsearch --color never dupl
complete_line clipsearch --color = always sim
complete_line clipsearch search --color = ne
complete_line clipsearch search --sort =
END
    run bash completion.bash
    expect_output $'search\n--orientation\nportrait\nuse\nexport\nduplicates\nsimilar\nnever\nscore date path'
}

@test "zsh and fish read their completions" {
    command -v zsh >/dev/null || command -v fish >/dev/null || skip "neither zsh nor fish is installed"
    clipsearch --generate zsh >_clipsearch
    clipsearch --generate fish >clipsearch.fish
    if command -v zsh >/dev/null; then zsh -n _clipsearch; fi
    if command -v fish >/dev/null; then
        run fish -c 'source clipsearch.fish; complete -C "clipsearch search --orientation p"'
        [[ "$output" == portrait* ]] || fail_with "fish did not complete"
    fi
}
