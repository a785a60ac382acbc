#!/usr/bin/env bats
# What is done with results beside printing them: previews, a page, commands.
load helpers

story_setup() {
    photo a.jpg 1 200 100 --taken "2023:07:14 18:30:00"
    photo "odd \$(touch x) name's.jpg" 2
    photo sub/c.png 3 --png
    indexed
}

@test "--exec runs a command for each photo, in order, without a shell" {
    try_pipe "diff <(clipsearch search x --paths) <(clipsearch search x --exec printf '%s\n')"
    expect_status 0
    try search x --exec printf '%s|%s|%s\n' '{/}' '{//}' '{.}'
    expect_status 0
    expect_in_output "a.jpg|$photos|$photos/a"
    expect_in_output "odd \$(touch x) name's.jpg|"
    [ ! -e x ] || fail_with "a shell was at work"
}

@test "--exec takes all that follows, up to a semicolon" {
    try search --exec echo -n --json '{/}.' ';' x -k 1
    expect_status 0
    [[ "$output" == "--json "*"." ]] || fail_with "the command's own options"
    try similar "$photos/a.jpg" -x echo '{/.}'
    expect_status 0
    expect_not_in_output "a"$'\n'
    expect_in_output c
}

@test "--exec-batch runs a command once, with all photos" {
    try search x -X sh -c 'echo $#' count
    expect_output 3
    try search x -X printf '[%s]' 'p:{/}'
    expect_in_output "[p:c.png]"
    expect_in_output "[p:a.jpg]"
    try search x -X echo '{}' '{}'
    expect_status 2
    expect_in_stderr "only one argument"
}

@test "a command that fails or is not there makes status 2, and nothing found runs none" {
    try search x --exec false
    expect_status 2
    expect_in_stderr "false failed with status 1"
    try search x --exec ./no-such-program
    expect_status 2
    [ "$(grep -c "cannot run" <<<"$stderr")" -eq 1 ] || fail_with "said once"
    try search x --min-score 0.99999 -x touch ran
    expect_status 1
    [ ! -e ran ] || fail_with "it ran"
    try search x --json -x echo
    expect_status 2
    try search x -x
    expect_status 2
    expect_in_stderr "-x needs a value"
}

@test "--html writes one page that holds all it needs, and the lines come as well" {
    clipsearch search x >plain
    try search x --html page.html
    expect_status 0
    expect_output "$(cat plain)"
    [ "$(grep -c 'src="data:image/jpeg;base64,' page.html)" -eq 3 ] || fail_with "three pictures"
    grep -q "2023-07-14 18:30" page.html || fail_with "the date"
    grep -q 'href="file://.*/odd%20%24%28touch%20x%29%20name%27s.jpg"' page.html || fail_with "the link"
    grep -q 'odd $(touch x) name&#39;s.jpg</a>' page.html || fail_with "the name"
    ! grep -qE 'https?://|<script|<link' page.html || fail_with "something from outside"
    sqlite3 "$XDG_DATA_HOME/clipsearch/library.db" "UPDATE photos SET taken = '<script>'" # as a stranger's library may have it
    try search x --html page.html
    grep -q '&lt;script&gt;' page.html || fail_with "the date is text"
    ! grep -q '<script' page.html || fail_with "a date became a part of the page"
    rm "$photos/a.jpg"
    try search '<b>&' --html page.html
    grep -q '<h1>&lt;b&gt;&amp;</h1>' page.html || fail_with "the question is text"
    [ "$(grep -c 'cannot be read' page.html)" -eq 1 ] || fail_with "the one without a file"
    try search x --html ./no/such/folder.html
    expect_status 2
    expect_in_stderr "cannot write"
}

@test "--preview draws each photo after its line, in every form" {
    export TERM=xterm-256color COLORTERM=truecolor
    try search x -k 2 --preview --preview-form symbols
    [[ "$status" -ne 2 || "$stderr" != *"without Chafa"* ]] || skip "built without Chafa"
    expect_status 0
    expect_in_output $'\e[38;'
    [ "$(grep -cF "$photos/" <<<"$output")" -eq 2 ] || fail_with "expected two lines"
    try search x -k 1 --preview --preview-form kitty
    expect_in_output $'\e_G'
    try search x -k 1 --preview --preview-form sixel
    expect_in_output $'\eP'
    try search x -k 1 --preview --preview-form iterm
    expect_in_output $'\e]1337;File='
    rm "$photos/a.jpg"
    try search x --preview
    expect_status 0
    expect_in_stderr "a.jpg: No such file"
    try search x --preview --json
    expect_status 2
}

@test "a search without --preview loads nothing for it" {
    command -v ldd >/dev/null || skip "no ldd"
    run ldd "$CLIPSEARCH"
    [[ "$output" != *chafa* && "$output" != *glib* ]] || fail_with "linked"
}
