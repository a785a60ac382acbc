#!/usr/bin/env bats
# Which library, which model: everything that can be absent, empty or different has its own message.
load helpers

@test "no library: says what to type" {
    try search dog
    expect_status 2
    expect_output ""
    expect_in_stderr "there is no photo library yet"
    expect_in_stderr "clipsearch index DIR"
    try status
    expect_status 2
    try search dog --db "$BATS_TEST_TMPDIR/my photos.db"
    expect_status 2
    expect_in_stderr "clipsearch index --db '$BATS_TEST_TMPDIR/my photos.db' DIR"
    [ ! -e "$BATS_TEST_TMPDIR/my photos.db" ] || fail_with "a search made a file"
}

@test "an empty library: finds nothing, says what to type" {
    indexed
    try search dog
    expect_status 1
    expect_output ""
    expect_in_stderr "empty"
    expect_in_stderr "clipsearch index"
}

@test "only missing photos: says that they are missing" {
    photo a.jpg 1
    echo "not empty" >"$photos/note.txt" # an empty folder would pass for a drive that is not mounted
    indexed
    mv "$photos/a.jpg" .
    indexed
    try search dog
    expect_status 1
    expect_in_stderr "1 missing"
    expect_in_stderr "clipsearch status"
}

@test "a library's new folders are the user's alone, and a folder is no library" {
    photo a.jpg 1
    rmdir "$XDG_DATA_HOME/clipsearch"
    clipsearch index --quiet --model "$TINY_MODEL" "$photos"
    [ "$(stat -c %a "$XDG_DATA_HOME/clipsearch")" = 700 ] || fail_with "others may read it: $(ls -l "$XDG_DATA_HOME")"
    try status --db "$photos"
    expect_status 2
    expect_in_stderr "$photos: is a folder"
}

@test "a file that is no library is refused and left alone" {
    echo "my diary, which is long enough to look at" >diary.db
    local before
    before=$(sha256sum diary.db)
    try search dog --db diary.db
    expect_status 2
    expect_in_stderr "diary.db"
    try check --db diary.db --repair
    expect_status 2
    [ "$(sha256sum diary.db)" = "$before" ] || fail_with "it was changed"
}

@test "CLIPSEARCH_DB names the library, --db names it better" {
    photo a.jpg 1
    CLIPSEARCH_DB="$BATS_TEST_TMPDIR/one.db" indexed
    export CLIPSEARCH_DB="$BATS_TEST_TMPDIR/one.db"
    try search x
    expect_status 0
    try search x --db "$BATS_TEST_TMPDIR/two.db"
    expect_status 2
    expect_in_stderr "two.db"
}

@test "the library remembers its model" {
    photo a.jpg 1
    indexed
    try search something else entirely
    expect_status 0
    [ -z "$stderr" ] || fail_with "spoke"
}

@test "a model that the library does not have: names those that it has" {
    photo a.jpg 1
    indexed
    "$MAKE_MODEL" other 2
    try search x --model ./other
    expect_status 2
    expect_in_stderr "not indexed with the model ./other, only with: tiny"
    expect_in_stderr "clipsearch index --model ./other"
    try search x --model nonsense
    expect_status 2
    expect_in_stderr 'no model "nonsense"'
    CLIPSEARCH_MODEL=nonsense try search x
    expect_status 2
}

@test "several models: one is used, another can be chosen, by name, by folder, for one search or for good" {
    photo a.jpg 1
    photo b.jpg 2
    photo c.jpg 3
    indexed
    "$MAKE_MODEL" other 2
    clipsearch index -q --model ./other "$photos"
    try search x --model tiny
    expect_status 0
    local tiny="$output"
    try search x --model "$TINY_MODEL"
    expect_output "$tiny"
    try search x --model ./other
    expect_status 0
    local other="$output"
    [ "$tiny" != "$other" ] || fail_with "the models agree"
    try model use tiny
    expect_status 0
    expect_in_stderr "tiny"
    try search x
    expect_output "$tiny"
    try model use other
    try search x
    expect_output "$other"
    try model use third
    expect_status 2
    try_pipe "clipsearch model list --json 2>/dev/null | jq -c 'select(.photos == 3) | [.name, .current]' | sort"
    expect_output '["other",true]
["tiny",false]'
}

@test "the model's files are gone: says which and what to type; a known text still works" {
    photo a.jpg 1
    "$MAKE_MODEL" mine 7
    clipsearch index -q --model ./mine "$photos"
    try search known words
    local known="$output"
    mv mine moved
    try search known words
    expect_status 0
    expect_output "$known"
    try search new words
    expect_status 2
    expect_in_stderr '"mine"'
    expect_in_stderr "--model DIR"
    try search new words --model ./moved
    expect_status 0
}

@test "the model's files were replaced: refused, not compared with another model's vectors" {
    photo a.jpg 1
    "$MAKE_MODEL" mine 7
    clipsearch index -q --model ./mine "$photos"
    "$MAKE_MODEL" mine 8
    try search words
    expect_status 2
    expect_in_stderr "not that model any more"
    expect_in_stderr "clipsearch index"
}

@test "an installed model is found by its name" {
    mkdir -p "$XDG_DATA_HOME/clipsearch/models/Maker"
    "$MAKE_MODEL" "$XDG_DATA_HOME/clipsearch/models/Maker/small" 3
    try model info Maker/small --json
    expect_status 0
    expect_in_output '"name":"small"'
    photo a.jpg 1
    try index -q --model Maker/small "$photos"
    expect_status 0
    try_pipe "clipsearch model list --json 2>/dev/null | jq -r 'select(.photos == 1) | .name'"
    expect_output Maker/small
}

@test "a library that cannot be written can be searched" {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then # take away what lets root write everything
        as=(setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search)
        "${as[@]}" true || skip "root can write everything here"
    fi
    photo a.jpg 1
    photo b.jpg 2
    indexed
    try search some words
    local before="$output"
    chmod -R a-w "$XDG_DATA_HOME"
    run --separate-stderr "${as[@]}" "$CLIPSEARCH" search some words
    local known_status=$status known="$output"
    run --separate-stderr "${as[@]}" "$CLIPSEARCH" search other words
    chmod -R u+w "$XDG_DATA_HOME"
    expect_status 0
    [ "$known_status" -eq 0 ] && [ "$known" = "$before" ] || fail_with "the same question got: $known"
}

@test "the model that comes with the program is found beside it, wherever it was installed" {
    mkdir -p prefix/bin prefix/share/clipsearch/models
    cp "$CLIPSEARCH" prefix/bin/
    cp -r "$TINY_MODEL" prefix/share/clipsearch/models/default
    run --separate-stderr prefix/bin/clipsearch model info
    expect_status 0
    expect_in_output "$PWD/prefix/share/clipsearch/models/default"
    mkdir -p tree/build tree/models
    cp "$CLIPSEARCH" tree/build/
    cp -r "$TINY_MODEL" tree/models/default
    run --separate-stderr tree/build/clipsearch model info
    expect_in_output "$PWD/tree/models/default"
}

@test "a wrong model folder is named with what is wrong in it" {
    "$MAKE_MODEL" broken 1
    truncate -s 1000 broken/open_clip_model.safetensors
    try model info ./broken
    expect_status 2
    expect_in_stderr "open_clip_model.safetensors"
    try embed --model ./broken --text x
    expect_status 2
    mkdir empty
    try model info ./empty
    expect_status 2
    expect_in_stderr "empty"
}

@test "a search with words loads no library that it does not need" {
    photo one/a.jpg 1
    indexed
    loaded() { try_pipe "LD_DEBUG=files clipsearch $1 2>&1 >/dev/null | grep -c 'calling init: .*\(libdnnl\|libheif\|libtiff\|libcurl\|openblas\)' || true"; }
    loaded "search something"
    expect_output 0
    loaded "embed --image '$photos/one/a.jpg'"
    expect_output 1
}
