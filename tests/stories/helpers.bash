# helpers.bash: what every story starts with. `load helpers` at the top of a .bats file.
#
# A story runs the real program in a home of its own: nothing of the user's is read or written. Meson gives
#   CLIPSEARCH   the program                         MAKE_PHOTO   makes a photo (see make_photo.c)
#   TINY_MODEL   the folder of a tiny random model   MAKE_MODEL   makes another one (see make_model.c)
# The tiny model stands in for the bundled one, so that a story takes no time; what words mean to it is chance, but equal
# pictures are equal to it.
# Output goes through `run --separate-stderr`, so $output is what a pipe would get and $stderr what a person would read.

bats_require_minimum_version 1.5.0

setup() {
    unset CLIPSEARCH_DB CLIPSEARCH_MODEL NO_COLOR
    export TERM=dumb
    export HOME="$BATS_TEST_TMPDIR/home" XDG_DATA_HOME="$BATS_TEST_TMPDIR/data" XDG_CACHE_HOME="$BATS_TEST_TMPDIR/cache"
    export XDG_CONFIG_HOME="$BATS_TEST_TMPDIR/config"
    export LC_ALL=C.UTF-8 TZ=UTC
    mkdir -p "$XDG_DATA_HOME/clipsearch"
    photos="$BATS_TEST_TMPDIR/photos"
    mkdir -p "$HOME" "$photos"
    cd "$BATS_TEST_TMPDIR" || return 1
    if declare -F story_setup >/dev/null; then story_setup; fi
}

# clipsearch ARG...: the program under test.
clipsearch() { "$CLIPSEARCH" "$@"; }

# indexed [ARG...]: indexes $photos with the tiny model, quietly.
indexed() { clipsearch index --quiet --model "$TINY_MODEL" "$@" "$photos"; }

# photo FILE SEED [...]: makes a photo below $photos, with the folders it needs.
photo() {
    mkdir -p "$(dirname "$photos/$1")"
    "$MAKE_PHOTO" "$photos/$1" "${@:2}"
}

# try ARG...: runs clipsearch; then $status, $output, $stderr and ${lines[@]} tell.
try() { run --separate-stderr clipsearch "$@"; }

# try_pipe 'SHELL COMMAND': the same for a command line with pipes; "clipsearch" is known in it.
try_pipe() { run --separate-stderr bash -c "clipsearch() { \"\$CLIPSEARCH\" \"\$@\"; }; $1"; }

# fail_with TEXT: ends the story, showing what the program said.
fail_with() {
    printf '%s\nstatus: %s\nstdout: %s\nstderr: %s\n' "$1" "$status" "$output" "$stderr" >&2
    return 1
}

expect_status() { [ "$status" -eq "$1" ] || fail_with "expected exit status $1"; }
expect_output() { [ "$output" = "$1" ] || fail_with "expected stdout: $1"; }
expect_in_output() { [[ "$output" == *"$1"* ]] || fail_with "expected in stdout: $1"; }
expect_in_stderr() { [[ "$stderr" == *"$1"* ]] || fail_with "expected on stderr: $1"; }
expect_not_in_output() { [[ "$output" != *"$1"* ]] || fail_with "did not expect in stdout: $1"; }

# Where no pseudo-terminal can be made (a chroot without /dev/pts), what needs one is skipped.
need_terminal() { script -qec true /dev/null </dev/null >/dev/null 2>&1 || skip "no pseudo-terminal can be made here"; }

# on_terminal ARG...: runs clipsearch with a terminal as stdout; its output, without carriage returns, is $output.
on_terminal() {
    need_terminal
    local command
    printf -v command '%q ' "$CLIPSEARCH" "$@"
    run bash -c "script -qec $(printf %q "$command") /dev/null </dev/null | tr -d '\r'; exit \${PIPESTATUS[0]}"
}

# answer_on_terminal TEXT PROMPT ARG...: the same with a terminal as stdin too, on which TEXT is typed once PROMPT is there.
answer_on_terminal() {
    need_terminal
    local text="$1" prompt="$2" command waited
    shift 2
    printf -v command '%q ' "$CLIPSEARCH" "$@"
    rm -f typed shown
    mkfifo typed
    : >shown
    script -qfec "$command" shown <typed >/dev/null &
    exec {keyboard}>typed
    for ((waited = 0; waited < 200; waited++)); do
        grep -qF -- "$prompt" shown && break
        sleep 0.05
    done
    printf '%s\n' "$text" >&"$keyboard"
    status=0
    wait $! || status=$?
    exec {keyboard}>&-
    output=$(sed '1d;/^Script done/d' shown | tr -d '\r')
}
