#!/usr/bin/env bats
# Measuring a model. The tiny model's words mean nothing, but some figures follow from the questions alone.
load helpers

evaluate() { try eval "$@" --model "$TINY_MODEL"; }

# value NAME: the "value" of a figure in the JSON on stdout.
value() { sed -n "s/.*\"$1\":{\"value\":\([0-9.e-]*\),.*/\1/p" <<<"$output"; }

# captions FILE...: two captions for each photo.
captions() {
    local file
    for file in "$@"; do printf '%s\tthe picture %s\n%s\tanother view of %s\n' "$file" "$file" "$file" "$file"; done >captions.tsv
}

@test "retrieval among three photos: five always hold the right one, and two ways are told" {
    photo a.jpg 1; photo b.jpg 2; photo sub/c.png 3 300 200 --png
    captions a.jpg b.jpg sub/c.png
    evaluate retrieval captions.tsv "$photos"
    expect_status 0
    [ "${#lines[@]}" -eq 3 ]
    [[ "${lines[0]}" == *recall@1*recall@5*recall@10* ]]
    [[ "${lines[1]}" == "text to image"*"100.0 % ("*" to 100.0)"* ]]
    expect_in_stderr "3 photos, 6 captions"
    evaluate retrieval captions.tsv "$photos" --json
    expect_status 0
    [ "$(value recall@5)" = 1.0 ] # the last of two equal ones: image to text, five of six captions hold one of two
    expect_in_output '"task":"retrieval"'
    expect_in_output '"photos":3,"captions":6,"left_out":0'
    expect_in_output '"text_to_image":{"recall@1":{"value":'
    expect_in_output '"image_to_text":{"recall@1":{"value":'
}

@test "the same picture under two names: its captions find the first name, never the second" {
    photo a.jpg 7; cp "$photos/a.jpg" "$photos/b.jpg"
    captions b.jpg a.jpg
    evaluate retrieval captions.tsv "$photos" --json
    expect_status 0
    [[ "$output" == *'"text_to_image":{"recall@1":{"value":0.5,'* ]] || fail_with "half of the captions"
}

@test "lines may come in any order, with empty ones and Windows line ends between" {
    photo a.jpg 1; photo b.jpg 2; photo c.jpg 3
    captions a.jpg b.jpg c.jpg
    evaluate retrieval captions.tsv "$photos" --json
    expect_status 0
    local straight="$output"
    sed -n '5p;1p;3p;2p;6p;4p' captions.tsv | sed 's/$/\r\n/' >mixed.tsv
    evaluate retrieval mixed.tsv "$photos" --json
    expect_status 0
    expect_output "$straight"
}

@test "photos that are missing, broken or no photos are left out, named and counted" {
    photo a.jpg 1; photo b.jpg 2
    printf '\x89PNG\r\n\x1a\nnothing' >"$photos/broken.jpg"
    echo words >"$photos/words.jpg"
    captions a.jpg b.jpg broken.jpg words.jpg absent.jpg
    evaluate retrieval captions.tsv "$photos" --json
    expect_status 0
    expect_in_output '"photos":2,"captions":4,"left_out":3'
    expect_in_stderr absent.jpg
    expect_in_stderr broken.jpg
    expect_in_stderr words.jpg
    captions absent.jpg
    evaluate retrieval captions.tsv "$photos"
    expect_status 2
    expect_output ""
}

@test "zeroshot: the same picture in two classes is right in one of them" {
    photo red_fox/x.jpg 5; photo barn/deep/y.jpg 5
    evaluate zeroshot "$photos" --json
    expect_status 0
    [ "$(value top1)" = 0.5 ]
    [ "$(value top5)" = 1.0 ]
    [ "$(value mean_per_class)" = 0.5 ]
    expect_in_output '"templates":"simple7","photos":2,"left_out":0'
    expect_in_output '{"class":"red_fox","label":"red fox","photos":1,'
    evaluate zeroshot "$photos" --templates none
    expect_status 0
    [ "${lines[0]}" = "top-1           50.0 % (9.5 to 90.5)" ]
    expect_not_in_output "top-5"
    expect_in_stderr "2 photos, 2 classes"
}

@test "zeroshot: names from a file, sentences from a file, files of other kinds passed over" {
    photo n01/x.jpg 5; photo n02/y.jpg 6; photo n03/z.jpg 7
    echo notes >"$photos/n01/notes.txt"; echo notes >"$photos/README"
    photo n02/.hidden.jpg 8
    printf '\x89PNG\r\n\x1a\nnothing' >"$photos/n02/broken.jpg"
    printf 'n01\tgreat white shark\nn03\tdrum\nn99\tunused\n' >names.tsv
    printf 'a picture of %s.\n' '{}' >sentences
    evaluate zeroshot "$photos" --names names.tsv --templates sentences --json
    expect_status 0
    expect_in_output '"label":"great white shark"'
    expect_in_output '"label":"n02"'
    expect_in_output '"templates":"sentences","photos":3,"left_out":1'
    expect_in_stderr "names 2 of the 3 classes"
    expect_in_stderr "broken.jpg"
}

@test "what cannot be measured is said, with status 2 and nothing on stdout" {
    photo a.jpg 1
    captions a.jpg
    printf 'a.jpg no tab\n' >bad.tsv
    : >empty.tsv
    local arguments
    for arguments in "" "nonsense" "retrieval captions.tsv" "retrieval absent.tsv $photos" "retrieval bad.tsv $photos" \
        "retrieval empty.tsv $photos" "retrieval captions.tsv $photos --templates none" "zeroshot" "zeroshot $photos" \
        "zeroshot $photos/absent" "zeroshot $photos --templates nosuchset"; do
        # shellcheck disable=SC2086
        evaluate $arguments
        expect_status 2
        expect_output ""
        [ -n "$stderr" ] || fail_with "silence for: $arguments"
    done
    evaluate retrieval bad.tsv "$photos"
    expect_in_stderr "line 1"
}
