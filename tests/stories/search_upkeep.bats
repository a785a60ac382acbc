#!/usr/bin/env bats
# Looking after a library: status, check, prune, forget, export, embed, model.
load helpers

story_setup() {
    photo one/a.jpg 1 --taken "2023:07:14 18:30:00"
    photo one/b.jpg 2
    photo two/c.jpg 3
}

@test "status tells photos, model and folders, as text and as JSON" {
    indexed
    try status
    expect_status 0
    expect_in_output "3 present"
    expect_in_output "tiny: 3 photos (100 %), 32 dimensions"
    expect_in_output "$photos  (3 photos)"
    try_pipe "clipsearch status --json | jq -c '[.photos, .searchable, .missing, .failed, .folders[0].photos, .folders[0].reachable, .models[0].name, .models[0].current]'"
    expect_output '[3,3,0,0,3,true,"tiny",true]'
    try_pipe "clipsearch status --json | jq -r '.library.path'"
    expect_output "$XDG_DATA_HOME/clipsearch/library.db"
}

@test "status knows a folder that is not reachable" {
    indexed
    mv "$photos" unplugged
    try status
    expect_in_output "not reachable now"
    try_pipe "clipsearch status --json | jq .folders[0].reachable"
    expect_output false
}

# 10,000 more photos on a drive that is not there, with the vector of the first.
many_more() {
    sqlite3 "$XDG_DATA_HOME/clipsearch/library.db" "
        INSERT INTO roots(id, path) VALUES(90, '/nowhere/drive');
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO photos(id, root_id, path, size, mtime_ns, inode, width, height, date, state, truncated)
            SELECT 1000 + i, 90, 'made/' || i || '.jpg', 1, 1, i, 9, 9, '2020-01-01 00:00:00', 0, 0 FROM n;
        INSERT INTO vectors(key, seq, vector)
            SELECT (v.key & ~1099511627775) | p.id, 1000 + p.id, v.vector FROM photos p, (SELECT key, vector FROM vectors LIMIT 1) v
            WHERE p.root_id = 90;"
}

@test "a library of more than ten thousand photos gets a search index, and status says so" {
    indexed
    try status
    expect_in_output "Cache       none needed; every search reads all vectors"
    many_more
    try status
    expect_in_output "Cache       none now, \`clipsearch index\` makes one; every search reads all vectors"
    try_pipe "clipsearch search something -k 20000 --paths | sort >before"
    try index
    try status
    expect_in_output "Cache       PQ32x4fs, answers weighed again exactly, "
    expect_in_output "10,003 vectors, 0 newer, 0 removed; current"
    try_pipe "clipsearch status --json | jq -c '[.cache.exact, .cache.vectors]'"
    expect_output "[false,10003]"
    try_pipe "clipsearch search something -k 20000 --paths | sort | cmp - before && wc -l <before"
    expect_output 10003
    try_pipe "clipsearch search something -k 5 --in '$photos' --paths | wc -l" # a narrow filter, and a wide one
    expect_output 3
    try_pipe "clipsearch search something -k 5 --before 2020-02 --paths | grep -c ^/nowhere/drive/made/"
    expect_output 5
}

@test "status --failed lists what could not be read, and why" {
    head -c 300 "$photos/one/a.jpg" >"$photos/broken.jpg"
    indexed || true
    try status
    expect_in_output "1 unreadable"
    expect_in_stderr "clipsearch status --failed"
    try status --failed
    expect_status 0
    [[ "${lines[0]}" == "$photos/broken.jpg"$'\t'?* ]] || fail_with "no reason"
    try_pipe "clipsearch status --failed --json | jq -r '.reason | length > 5'"
    expect_output true
    rm "$photos/broken.jpg"
    indexed
    clipsearch prune -y -q
    try status --failed
    expect_status 1
    expect_output ""
}

@test "check finds a whole library whole" {
    indexed
    try check
    expect_status 0
    expect_output ""
    expect_in_stderr "the library is whole"
    try check --json -q
    expect_status 0
    expect_output ""
}

@test "prune shows what is missing and needs a yes" {
    indexed
    try prune
    expect_status 0
    expect_in_stderr "no photo is missing"
    rm "$photos/one/a.jpg" "$photos/two/c.jpg"
    indexed
    try prune
    expect_status 2
    expect_output "$photos/one/a.jpg
$photos/two/c.jpg"
    expect_in_stderr "clipsearch prune --yes"
    try_pipe "clipsearch status --json | jq .missing"
    expect_output 2
    try prune --yes --json
    expect_status 0
    [ "${#lines[@]}" -eq 2 ] || fail_with "two lines"
    expect_in_stderr "2 photos forgotten"
    try_pipe "clipsearch status --json | jq '[.missing, .photos]' -c"
    expect_output '[0,1]'
}

@test "prune asks on a terminal, and no is the default" {
    indexed
    rm "$photos/one/a.jpg"
    indexed
    answer_on_terminal "" "[y/N]" prune
    expect_status 0
    expect_in_output "Forget 1 missing photo? [y/N]"
    expect_in_output "nothing was forgotten"
    answer_on_terminal y "[y/N]" prune
    expect_status 0
    expect_in_output "1 photo forgotten"
}

@test "an unplugged folder is not pruned" {
    indexed
    mv "$photos" unplugged
    try index -q
    try prune --yes
    expect_status 0
    expect_in_stderr "no photo is missing"
}

@test "forget takes out a photo, a folder, and a root; the files stay" {
    indexed
    try forget "$photos/one/a.jpg"
    expect_status 0
    expect_in_stderr "1 photo forgotten"
    cd "$photos"
    try forget ./two
    expect_status 0
    try_pipe "clipsearch search x --paths"
    expect_output "$photos/one/b.jpg"
    try forget "$photos"
    expect_status 0
    try_pipe "clipsearch status --json | jq -c '[.photos, .folders]'"
    expect_output '[0,[]]'
    [ -f "$photos/one/a.jpg" ] && [ -f "$photos/two/c.jpg" ] || fail_with "a file is gone"
    try forget "$photos"
    expect_status 1
    expect_in_stderr "nothing in the library is at"
    try forget
    expect_status 2
}

@test "export: the same photos in the same order in every form" {
    indexed
    try_pipe "clipsearch export | jq -r .path"
    expect_output "$photos/one/a.jpg
$photos/one/b.jpg
$photos/two/c.jpg"
    try_pipe "clipsearch export --format csv | tail -n +2 | cut -d, -f1"
    expect_output "$photos/one/a.jpg
$photos/one/b.jpg
$photos/two/c.jpg"
    try_pipe "clipsearch export --format csv | awk -F, '{print NF}' | sort -u"
    expect_output $((12 + 32))
    try_pipe "clipsearch export | jq '.vector | length' | sort -u"
    expect_output 32
    try_pipe "clipsearch export | jq -c '.vector | map(. * .) | add | . > 0.999 and . < 1.001' | sort -u"
    expect_output true
    try_pipe "clipsearch export --format npy | wc -c"
    expect_output $((128 + 3 * 32 * 4))
    try export --format npy --output v.npy
    expect_status 0
    expect_in_stderr "3 photos written to v.npy"
    try_pipe "cmp v.npy <(clipsearch export --format npy)"
    expect_status 0
    try_pipe "head -c 6 v.npy | tail -c 5"
    expect_output NUMPY
}

@test "export: the numbers are those of the array" {
    indexed
    try_pipe "diff <(clipsearch export --format npy | tail -c 384 | od -An -v -t f4 -w4 | xargs -n1 printf '%.5f\n') <(clipsearch export | jq '.vector[]' | xargs -n1 printf '%.5f\n')"
    expect_status 0
}

@test "export cannot write where it cannot, and says so" {
    indexed
    try export --output /nonexistent/x
    expect_status 2
    expect_in_stderr "/nonexistent/x"
    try export --output /dev/full
    expect_status 2
    expect_in_stderr "No space left"
    on_terminal export --format npy
    [ "$status" -eq 2 ] || fail_with "an array went to a terminal"
}

@test "embed: rows in the order given, of unit length, equal to the library's" {
    indexed
    try_pipe "clipsearch embed --model '$TINY_MODEL' --text 'a dog' --image '$photos/one/a.jpg' --text 'a cat' | jq -c '[has(\"text\"), (.vector | length), ((.vector | map(. * .) | add) - 1 | fabs < 1e-5)]'"
    expect_output '[true,32,true]
[false,32,true]
[true,32,true]'
    try_pipe "clipsearch embed --model '$TINY_MODEL' --text a b 'c d' | jq -r .text"
    expect_output 'a
b
c d'
    try_pipe "clipsearch embed --image '$photos/one/a.jpg' | jq -c '.vector' >e; clipsearch export | head -n 1 | jq -c .vector >x; jq -n --slurpfile e e --slurpfile x x '[range(32) | \$e[0][.] * \$x[0][.]] | add > 0.9999'"
    expect_output true
}

@test "embed needs no library, writes arrays, and stops at a broken photo" {
    try embed --model "$TINY_MODEL" --text x y --npy v.npy
    expect_status 0
    expect_output ""
    [ "$(stat -c %s v.npy)" -eq $((128 + 2 * 32 * 4)) ] || fail_with "size"
    echo no >bad.jpg
    try embed --model "$TINY_MODEL" --image "$photos/one/a.jpg" bad.jpg --npy w.npy
    expect_status 2
    expect_in_stderr bad.jpg
    [ ! -e w.npy ] || fail_with "half an array was written"
    try embed --text x --image y z
    expect_status 2
    try embed --text x --json --npy f
    expect_status 2
}

@test "model info tells the model's shape" {
    try model info "$TINY_MODEL"
    expect_status 0
    expect_in_output "ViT"
    expect_in_output "64 x 64"
    try_pipe "clipsearch model info '$TINY_MODEL' --json | jq -c '[.name, .form, .dim, .image_size, .context_length, .vocab_size, (.fingerprint | length)]'"
    expect_output '["tiny","open_clip",32,64,77,514,32]'
}

@test "commands that take no argument say so" {
    local command
    for command in status check prune export; do
        try "$command" extra
        expect_status 2
        expect_in_stderr extra
    done
    try model nonsense
    expect_status 2
    try model use
    expect_status 2
}
