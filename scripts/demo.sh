#!/bin/sh
# demo.sh: from a fresh clone to an answered search, in one command.
#
#   sh scripts/demo.sh [--prefix PREFIX] [DIR]     build, install, index the photos in DIR, ask
#   sh scripts/demo.sh --uninstall [--prefix PREFIX]
#
# PREFIX is /usr/local for root and ~/.local for anybody else. DIR goes into your own library. Without a DIR, photos that
# come as Debian packages (75 MB, downloaded once, unpacked into a cache folder, not installed) go into a library of their own.
# Debian packages that are missing are installed, as root or through sudo; apart from those, only PREFIX, build-demo/ in
# this folder, ~/.cache/clipsearch and ~/.local/share/clipsearch are written to. Running it again is safe and quick.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/common.sh"

photo_packages='lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds'
# A word as it would have to be typed.
quoted() {
    case $1 in
    *[!a-zA-Z0-9/._-]*) printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf %s "$1" ;;
    esac
}
usage() { sed -n '4,5s/^# \{0,1\}//p' "$0"; }

prefix= photos= uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) [ $# -gt 1 ] || fail "--prefix needs a folder"; shift; prefix=$1 ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    --uninstall) uninstall=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; fail "unknown option $1" ;;
    *) [ -z "$photos" ] || fail "one folder at a time; index more afterwards: clipsearch index DIR..."; photos=$1 ;;
    esac
    shift
done
if [ "$(id -u)" = 0 ]; then default_prefix=/usr/local; else default_prefix=${HOME:?}/.local; fi
[ -n "$prefix" ] || prefix=$default_prefix
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
manifest=$prefix/share/clipsearch/installed-files
program=$prefix/bin/clipsearch
data=${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/clipsearch

if [ $uninstall = yes ]; then
    [ -f "$manifest" ] || fail "nothing was installed by this script under $prefix (--prefix names another place)"
    # In reverse, what is in a folder comes before the folder; one that holds other things stays.
    sort -r "$manifest" | while IFS= read -r f; do
        case $f in "$prefix"/*) ;; *) continue ;; esac
        if [ -d "$f" ]; then rmdir -- "$f" 2>/dev/null || :; else rm -f -- "$f" || fail "cannot remove $f"; fi
    done || exit 2
    rm -f -- "$manifest"
    find "$prefix/share/clipsearch" -depth -type d -empty -delete 2>/dev/null
    echo "clipsearch is gone from $prefix."
    echo "Your libraries stay in $data, caches in $cache;"
    echo "delete these two folders and $top/build-demo by hand if nothing of them is wanted."
    exit 0
fi

[ -z "$photos" ] || [ -d "$photos" ] || fail "there is no folder $photos"
build=$top/build-demo
log=$build/demo.log
mkdir -p "$build" && : >"$log" || fail "cannot write to $build (was it made by another user?)"

# ---- build and install -----------------------------------------------------------------------------------------------

say "1/4 What is needed"
need_packages $packages_build
faiss=$(sh "$here/faiss.sh") || fail "FAISS is missing (see above)"

say "2/4 Building"
[ "$(uname -m)" != x86_64 ] || [ "$(isa_level)" = avx2 ] || say "  this CPU lacks AVX2, FMA or F16C: building the generic version, which is slower"
configure_build "$build/meson" --prefix "$prefix" -Dbuildtype=release -Dtests=false -Dfaiss_root="$faiss"
compile_build "$build/meson"

say "3/4 Installing to $prefix"
# Asked first, because meson would otherwise offer to become root by itself.
mkdir -p "$prefix/bin" "$prefix/share/clipsearch" 2>/dev/null && [ -w "$prefix/bin" ] && [ -w "$prefix/share/clipsearch" ] ||
    fail "cannot write to $prefix; choose another place with --prefix, or run this as root"
meson install -C "$build/meson" --no-rebuild >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2; fail "the program could not be installed; see $log"; }
# What an earlier version installed and this one does not is still remembered.
{ grep -v '^#' "$build/meson/meson-logs/install-log.txt"; cat "$manifest" 2>/dev/null; } | sort -u >"$build/installed-files"
cp "$build/installed-files" "$manifest" || fail "cannot write $manifest"
say "  the program is $program; to remove it: sh scripts/demo.sh --uninstall$(
    [ "$prefix" = "$default_prefix" ] || printf ' --prefix %s' "$(quoted "$prefix")")"

# ---- photos ----------------------------------------------------------------------------------------------------------

fetch_photos() {
    photos=$cache/photos
    for p in $photo_packages; do
        [ ! -d "$photos/$p" ] || continue
        if ! apt-cache policy "$p" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
            as_root apt-get update -q >>"$log" 2>&1 || say "  the package lists could not be refreshed"
        fi
        say "  fetching the photos of $p"
        work=$(mktemp -d "${TMPDIR:-/tmp}/clipsearch-photos.XXXXXX") || fail "cannot make a temporary folder"
        chmod 755 "$work"
        rm -rf "$photos/$p.new"
        mkdir -p "$photos/$p.new" || fail "cannot write to $photos"
        if (cd "$work" && apt-get download -q "$p") >>"$log" 2>&1 && dpkg-deb -x "$work/$p"_*.deb "$photos/$p.new" >>"$log" 2>&1; then
            mv "$photos/$p.new/usr/share/backgrounds" "$photos/$p" || fail "cannot write to $photos"
        else
            say "  it could not be fetched; going on without it (see $log)"
        fi
        rm -rf "$photos/$p.new"
        rm -rf "$work"
    done
    [ -n "$(find "$photos" -name '*.jpg' 2>/dev/null | head -n 1)" ] ||
        fail "no sample photos could be fetched; name a folder of your own: sh scripts/demo.sh DIR"
}

if [ -n "$photos" ]; then
    say "4/4 Indexing $photos"
    library=
else
    say "4/4 Indexing photos that come as Debian packages"
    fetch_photos
    library=$data/demo.db
    mkdir -p "$data" || fail "cannot make the folder $data"
fi

# demo ARG...: the installed program on the library of this demo.
demo() {
    if [ -n "$library" ]; then "$program" --db "$library" "$@"; else "$program" "$@"; fi
}

demo index -- "$photos" || fail "indexing did not finish (see above)"

# ---- questions -------------------------------------------------------------------------------------------------------

ask() {
    printf '\n$ clipsearch search -k 3 "%s"\n' "$1"
    demo search -k 3 "$1" # 1: nothing found, which is no failure
    [ $? -le 1 ] || fail "the search failed (see above)"
}
next() { printf '  %-40s  # %s\n' "$1" "$2"; }

ask "a bird on a tree trunk"
if [ -n "$library" ]; then
    ask "paint brushes"
    last="a path in the mountains"
else
    ask "people"
    last="a landscape in the evening"
fi
ask "$last"

# By example: more like the last answer.
example=$(demo search -k 1 --paths "$last") || [ $? -le 1 ] || fail "the search failed (see above)"
if [ -n "$example" ]; then
    printf '\n$ clipsearch similar -k 3 %s\n' "$(quoted "$example")"
    demo similar -k 3 "$example"
    [ $? -le 1 ] || fail "the search by example failed (see above)"
fi

printf '\nNext:\n'
if [ "$(command -v clipsearch)" != "$program" ]; then
    next "export PATH=$(quoted "$prefix/bin"):\$PATH" "so that the shell finds it; a new login may do that by itself"
fi
if [ -n "$library" ]; then
    next "clipsearch --db $(quoted "$library") search \"a red flower\"" "ask these photos more"
    next "clipsearch index ~/Pictures" "index your own"
    next 'clipsearch search "..."' "ask them anything"
else
    next 'clipsearch search "..."' "ask for anything"
    next "clipsearch similar PHOTO" "find photos like this one"
    next "clipsearch index" "again, whenever photos were added"
fi
next "clipsearch --help" "the rest"
